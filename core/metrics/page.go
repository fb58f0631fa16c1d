package metrics

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// ContentType is that of a Page.
const ContentType = "text/plain; version=0.0.4; charset=utf-8"

// Page is metrics in the text format. The zero value is an empty one.
//
// https://prometheus.io/docs/instrumenting/exposition_formats/
type Page struct{ b bytes.Buffer }

// Text is the page as it is served.
func (p *Page) Text() []byte { return p.b.Bytes() }

// Counter writes a number that only grows.
func (p *Page) Counter(name, help string, n uint64) {
	p.head(name, "counter", help)
	p.sample(name, nil, strconv.FormatUint(n, 10))
}

// Gauge writes a number that comes and goes.
func (p *Page) Gauge(name, help string, n float64) {
	p.head(name, "gauge", help)
	p.sample(name, nil, number(n))
}

// Counters writes one counter for each value of a label.
func (p *Page) Counters(name, help, label string, counted map[string]uint64) {
	p.head(name, "counter", help)
	for _, value := range slices.Sorted(maps.Keys(counted)) {
		p.sample(name, []string{label, value}, strconv.FormatUint(counted[value], 10))
	}
}

// Gauges writes one gauge for each value of a label.
func (p *Page) Gauges(name, help, label string, now map[string]float64) {
	p.head(name, "gauge", help)
	for _, value := range slices.Sorted(maps.Keys(now)) {
		p.sample(name, []string{label, value}, number(now[value]))
	}
}

// Pair is the values of two labels.
type Pair [2]string

// Pairs writes one counter for each pair of values of two labels.
func (p *Page) Pairs(name, help string, labels Pair, counted map[Pair]uint64) {
	p.head(name, "counter", help)
	for _, values := range slices.SortedFunc(maps.Keys(counted), func(a, b Pair) int {
		return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1]))
	}) {
		p.sample(name, []string{labels[0], values[0], labels[1], values[1]}, strconv.FormatUint(counted[values], 10))
	}
}

// Histograms writes one histogram, in seconds, for each value of a label; of a
// single one without a label if that is empty.
func (p *Page) Histograms(name, help, label string, seen map[string]Distribution) {
	p.head(name, "histogram", help)
	for _, value := range slices.Sorted(maps.Keys(seen)) {
		var labels []string
		if label != "" {
			labels = []string{label, value}
		}
		d, below := seen[value], uint64(0)
		for i, bound := range bounds {
			if d.Counts != nil {
				below += d.Counts[i]
			}
			p.sample(name+"_bucket", append(slices.Clone(labels), "le", number(bound)), strconv.FormatUint(below, 10))
		}
		count := strconv.FormatUint(d.Count, 10)
		p.sample(name+"_bucket", append(slices.Clone(labels), "le", "+Inf"), count)
		p.sample(name+"_sum", labels, number(d.Sum.Seconds()))
		p.sample(name+"_count", labels, count)
	}
}

func (p *Page) head(name, kind, help string) {
	p.b.WriteString("# HELP " + name + " " + escape(help, false) + "\n# TYPE " + name + " " + kind + "\n")
}

// sample writes one line; labels are names and values in turn.
func (p *Page) sample(name string, labels []string, value string) {
	var pairs []string
	for i := 0; i+1 < len(labels); i += 2 {
		pairs = append(pairs, labels[i]+`="`+escape(labels[i+1], true)+`"`)
	}
	if pairs != nil {
		name += "{" + strings.Join(pairs, ",") + "}"
	}
	p.b.WriteString(name + " " + value + "\n")
}

func number(n float64) string { return strconv.FormatFloat(n, 'g', -1, 64) }

// escape is how the format has a backslash, a line's end and, in values, a quote.
func escape(text string, value bool) string {
	text = strings.NewReplacer(`\`, `\\`, "\n", `\n`).Replace(text)
	if value {
		text = strings.ReplaceAll(text, `"`, `\"`)
	}
	return text
}
