# SPDX-License-Identifier: GPL-2.0-only
#
# Draws how near each row of the benchmarks is to its target.
#
# usage: gnuplot -c bench.gp CSV PNG
if (ARGC != 2) {
	print "usage: gnuplot -c bench.gp CSV PNG"
	exit status 2
}
set datafile separator ","
set terminal pngcairo noenhanced size 1000,620 font "DejaVu Sans,10" background rgb "white"
set output ARG2

# what is to be small over its target, and the target over what is to be large
cost(ratio, op, target) = op eq "<=" ? ratio / target : target / ratio

stats ARG1 using 5 every ::1 nooutput
set yrange [STATS_records - 0.4:-0.6]
set xrange [0:*]
set border 1 lc rgb "#666666"
set tics nomirror textcolor rgb "#333333"
set grid xtics lc rgb "#dddddd"
set key off
set lmargin 42
set xlabel "cost, in parts of what the target allows" textcolor rgb "#333333"
set title "make bench" font ",14"
set arrow 1 from 1, graph 0 to 1, graph 1 nohead lc rgb "#333333" dt 2 front

met = 0x2f6db3; missed = 0xc0504d
bar = 0.35
plot ARG1 every ::1 using (0):0:(0):(cost($5, strcol(6), $7)):($0 - bar):($0 + bar):(strcol(8) eq "met" ? met : missed):ytic(2) \
	with boxxyerror fs solid 0.85 noborder lc rgb variable, \
	"" every ::1 using (cost($5, strcol(6), $7)):0:(sprintf(" %.3f %s %s", $5, strcol(6), strcol(7))) \
	with labels left font ",9"
