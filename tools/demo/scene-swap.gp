# SPDX-License-Identifier: GPL-2.0-only
#
# Draws BOs, hog and swap over time, for both kernels and both kinds of swap, into one PNG.
#
# usage: gnuplot -c scene-swap.gp DIR PNG
#        DIR/KERNEL-SWAP.dat: seconds free bo purgeable hog swap evicted (MiB);
#        DIR/KERNEL-SWAP.killed: second of an OOM kill, or empty
if (ARGC != 2) {
	print "usage: gnuplot -c scene-swap.gp DIR PNG"
	exit status 2
}
set terminal pngcairo size 1200,860 font "DejaVu Sans,11" background rgb "white"
set output ARG2

set border 3 lc rgb "#666666"
set tics nomirror textcolor rgb "#333333"
set grid ytics lc rgb "#dddddd" lw 1
set xtics 5
set key off

array colour[4] = ["#2f6db3", "#c0504d", "#7b4fa3", "#999999"]
array name[4] = ["resident BOs", "hog in RAM", "swap used", "evicted so far"]
do for [i=1:4] {
	set arrow i from screen 0.22+i*0.14,0.030 to screen 0.24+i*0.14,0.030 nohead lc rgb colour[i] lw 3
	set label i name[i] at screen 0.247+i*0.14,0.030 left font ",12"
}

array kernels[2] = ["unpatched", "patched"]
array swaps[2] = ["zram", "disk"]
set multiplot layout 2,2 margins 0.06,0.99,0.12,0.95 spacing 0.05,0.10
do for [s=1:2] {
	do for [k=1:2] {
		dat = ARG1."/".kernels[k]."-".swaps[s].".dat"
		# stats heeds the ranges of the plot before
		set xrange [*:*]
		set yrange [*:*]
		stats ARG1."/patched-".swaps[s].".dat" using 1 nooutput name "P"
		stats dat using 1 nooutput name "A"
		set xrange [0:P_max - P_min]
		set yrange [0:560]
		killed = system("cat '".ARG1."/".kernels[k]."-".swaps[s].".killed'")
		set title sprintf("%s kernel, %s", k == 1 ? "Unpatched" : "Patched", s == 1 ? "zram" : "swap on a disk") font ",13"
		set ylabel k == 1 ? "MiB" : "" textcolor rgb "#333333"
		set xlabel s == 2 ? "seconds since the client started" : "" textcolor rgb "#333333"
		unset arrow 5
		unset label 5
		if (strlen(killed)) {
			at = real(killed) - A_min
			set arrow 5 from at, graph 0 to at, graph 0.90 nohead lc rgb "black" lw 2 dt 2
			set label 5 "OOM kill" at at, graph 0.94 center font ",12"
		}
		plot dat using ($1-A_min):7 with lines lc rgb colour[4] lw 2 dt 2 notitle, \
			'' using ($1-A_min):3 with lines lc rgb colour[1] lw 3 notitle, \
			'' using ($1-A_min):5 with lines lc rgb colour[2] lw 3 notitle, \
			'' using ($1-A_min):6 with lines lc rgb colour[3] lw 3 notitle
		if (s == 1 && k == 1) {
			do for [i=1:4] { unset arrow i; unset label i }
		}
	}
}
unset multiplot
