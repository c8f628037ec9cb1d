# SPDX-License-Identifier: GPL-2.0-only
#
# Draws the memory of the three guests with an idle GL program over time, into one PNG, and
# when the last of what was given up was purged.
#
# usage: gnuplot -c scene-gl.gp DIR PNG
#        DIR/NAME.dat: seconds free bo purgeable hog swap evicted (MiB), with NAME
#        unpatched-gl, patched-stock-gl and patched-gl;
#        DIR/NAME.killed: second of an OOM kill, or empty
if (ARGC != 2) {
	print "usage: gnuplot -c scene-gl.gp DIR PNG"
	exit status 2
}
set terminal pngcairo size 1200,520 font "DejaVu Sans,11" background rgb "white"
set output ARG2

array names[3] = ["unpatched-gl", "patched-stock-gl", "patched-gl"]
array titles[3] = ["Unpatched kernel, patched Mesa", "Patched kernel, stock Mesa", "Patched kernel, patched Mesa"]

# one scale for all
right = 0
top = 0
do for [n=1:3] {
	stats ARG1."/".names[n].".dat" using 1 nooutput name "T"
	stats ARG1."/".names[n].".dat" using ($2 > $3 + $5 ? $2 : $3 + $5) nooutput name "M"
	right = T_max > right ? T_max : right
	top = M_max > top ? M_max : top
}
set xrange [-4:right]
set yrange [0:top * 1.15]

set border 3 lc rgb "#666666"
set tics nomirror textcolor rgb "#333333"
set grid ytics lc rgb "#dddddd" lw 1
set xlabel "seconds since the hog started" textcolor rgb "#333333"
set xtics 5
set key off

array colour[4] = ["#2f6db3", "#f0a830", "#c0504d", "#6aa56a"]
array name[4] = ["BOs in RAM", "of them purgeable", "hog", "free"]
array place[4] = [0.24, 0.37, 0.55, 0.64]
do for [i=1:4] {
	set arrow i from screen place[i],0.043 to screen place[i]+0.02,0.043 nohead lc rgb colour[i] lw 4
	set label i name[i] at screen place[i]+0.027,0.043 left font ",12"
}

set multiplot layout 1,3 margins 0.05,0.99,0.21,0.90 spacing 0.035
do for [n=1:3] {
	dat = ARG1."/".names[n].".dat"
	killed = system("cat '".ARG1."/".names[n].".killed'")
	# nothing given up is left, the first time after something was
	purged = system("awk '$4 > 0 { had = 1 } had && $1 > 0 && $4 == 0 { print $1; exit }' '".dat."'")
	set title titles[n] font ",13"
	set ylabel n == 1 ? "MiB" : "" textcolor rgb "#333333"
	unset arrow 5
	unset arrow 6
	unset label 5
	unset label 6
	if (n == 2) {
		do for [i=1:4] { unset arrow i; unset label i }
	}
	if (strlen(killed)) {
		set arrow 5 from real(killed), graph 0 to real(killed), graph 0.92 nohead lc rgb "black" lw 2 dt 2
		set label 5 "OOM kill" at real(killed), graph 0.96 center font ",12"
	}
	if (strlen(purged)) {
		set arrow 6 from real(purged), graph 0 to real(purged), graph 0.92 nohead lc rgb "black" lw 2 dt 3
		set label 6 "cache purged" at real(purged), graph 0.96 center font ",12"
	}
	plot dat using 1:2 with lines lc rgb colour[4] lw 3 notitle, \
		'' using 1:5 with lines lc rgb colour[3] lw 3 notitle, \
		'' using 1:3 with lines lc rgb colour[1] lw 3 notitle, \
		'' using 1:4 with lines lc rgb colour[2] lw 3 dt 2 notitle
}
unset multiplot
