# SPDX-License-Identifier: GPL-2.0-only
#
# Draws the memory of both guests over time, side by side, into one PNG.
#
# usage: gnuplot -c scene.gp UNPATCHED PATCHED PNG
#        UNPATCHED.dat, PATCHED.dat: seconds free bo purgeable hog (MiB);
#        UNPATCHED.killed, PATCHED.killed: second of an OOM kill, or empty
if (ARGC != 3) {
	print "usage: gnuplot -c scene.gp UNPATCHED PATCHED PNG"
	exit status 2
}
set terminal pngcairo size 1200,560 font "DejaVu Sans,11" background rgb "white"
set output ARG3

# one scale for both
stats ARG1.".dat" using 1 nooutput name "A"
stats ARG2.".dat" using 1 nooutput name "B"
stats ARG1.".dat" using ($2+$3+$5) nooutput name "SUM"
left = -6
right = A_max > B_max ? A_max : B_max
set xrange [left:right]
set yrange [0:SUM_max * 1.14]

set style fill solid 0.85 noborder
set border 3 lc rgb "#666666"
set tics nomirror textcolor rgb "#333333"
set grid ytics lc rgb "#dddddd" lw 1 front
set xlabel "seconds since the hog started" textcolor rgb "#333333"
set key off
set xtics 5

live = "#2f6db3"; idle = "#f0a830"; hog = "#c0504d"; free = "#cfe3cf"
array name[4] = ["BOs in use", "idle BOs, purgeable", "hog", "free"]
array colour[4] = [live, idle, hog, free]
array place[4] = [0.24, 0.38, 0.57, 0.66]

# one legend for both, below
do for [i=1:4] {
	set object i rectangle from screen place[i],0.025 to screen place[i]+0.02,0.060 fc rgb colour[i] fs solid noborder
	set label i name[i] at screen place[i]+0.027,0.043 left font ",12"
}

set multiplot layout 1,2 margins 0.06,0.99,0.20,0.90 spacing 0.05
do for [n=1:2] {
	guest = n == 1 ? ARG1 : ARG2
	dat = guest.".dat"
	killed = system("cat '".guest.".killed'")
	set title (n == 1 ? "Unpatched kernel" : "Patched kernel") font ",14"
	set ylabel n == 1 ? "MiB of guest memory" : "" textcolor rgb "#333333"
	unset arrow
	unset label 5
	if (n == 2) {
		do for [i=1:4] { unset object i; unset label i }
	}
	if (strlen(killed)) {
		set arrow from real(killed), graph 0 to real(killed), graph 0.945 nohead \
			lc rgb "black" lw 2 dt 2 front
		set label 5 "OOM kill" at real(killed), graph 0.97 center font ",12" front
	}
	plot dat using 1:($3-$4):(0) with filledcurves lc rgb live notitle, \
		'' using 1:($3-$4):3 with filledcurves lc rgb idle notitle, \
		'' using 1:3:($3+$5) with filledcurves lc rgb hog notitle, \
		'' using 1:($3+$5):($3+$5+$2) with filledcurves lc rgb free notitle
}
unset multiplot
