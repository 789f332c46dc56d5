package web

import (
	"fmt"
	"html"
	"html/template"
	"regexp"
	"strconv"
	"strings"

	"github.com/go-analyze/charts"
)

// A chart's colours stand for classes of the style sheet, so that one drawing is
// right in light and dark: blue is the number of a series, and red says what is
// drawn. The page's policy allows no style in the drawing itself.
const (
	seriesRed = 1
	textRed   = 2
	gridRed   = 3
	axisRed   = 4
	paperRed  = 5
)

// slots is how many colours the style sheet has for slices; the last is for the
// rest.
const slots = 10

func mark(red, number int) charts.Color {
	return charts.Color{R: uint8(red), B: uint8(number), A: 255}
}

func theme() charts.ColorPalette {
	series := make([]charts.Color, slots)
	for i := range series {
		series[i] = mark(seriesRed, i)
	}
	return charts.MakeTheme(charts.ThemeOption{
		AxisStrokeColor: mark(axisRed, 0), AxisSplitLineColor: mark(gridRed, 0), BackgroundColor: mark(paperRed, 0),
		TextColor: mark(textRed, 0), SeriesColors: series,
	})
}

func painter(width, height int) *charts.Painter {
	return charts.NewPainter(charts.PainterOptions{OutputFormat: charts.ChartOutputSVG, Width: width, Height: height, Theme: theme()})
}

// donut draws the slices, whose values are above 0, with a text in the middle.
func donut(name, title, description, middle, caption string, values []float64) (template.HTML, error) {
	const size = 300
	p := painter(size, size)
	o := charts.NewDoughnutChartOptionWithData(values)
	o.Theme, o.Legend.Show = theme(), charts.Ptr(false)
	o.RadiusRing, o.RadiusCenter, o.SegmentGap = "48%", "33%", 2
	o.Padding = charts.NewBoxEqual(2)
	for i := range o.SeriesList {
		o.SeriesList[i].Label.Show = charts.Ptr(false)
	}
	if err := p.DoughnutChart(o); err != nil {
		return "", fmt.Errorf("draw a donut: %w", err)
	}
	text := fmt.Sprintf(`<text class="middle" x="150" y="150" text-anchor="middle">%s</text><text class="under" x="150" y="174" text-anchor="middle">%s</text>`,
		html.EscapeString(middle), html.EscapeString(caption))
	return inline(p, name, title, description, text)
}

// lines draws series over labels; a missing value is charts.GetNullValue().
func lines(name, title, description string, width, height, labels int, days []string, series [][]float64) (template.HTML, error) {
	p := painter(width, height)
	o := charts.NewLineChartOptionWithData(series)
	o.Theme, o.Legend.Show = theme(), charts.Ptr(false)
	o.Symbol.Shape = charts.SymbolNone
	o.XAxis.Labels, o.XAxis.LabelCount, o.XAxis.BoundaryGap = days, labels, charts.Ptr(false)
	o.XAxis.LabelFontStyle.FontSize = 9
	o.YAxis = []charts.YAxisOption{{LabelCount: 5, Min: lowest(series), ValueFormatter: short,
		LabelFontStyle: charts.FontStyle{FontSize: 9}}}
	o.LineStrokeWidth = 1.5
	o.Padding = charts.Box{Top: 10, Right: 14, Bottom: 4, Left: 4, IsSet: true}
	if err := p.LineChart(o); err != nil {
		return "", fmt.Errorf("draw lines: %w", err)
	}
	return inline(p, name, title, description, "")
}

// lowest gives 0 for counts that are never negative, so that lines stand on it.
func lowest(series [][]float64) *float64 {
	for _, values := range series {
		for _, v := range values {
			if v < 0 {
				return nil
			}
		}
	}
	return charts.Ptr(0.0)
}

// short gives a number of an axis in few characters.
func short(v float64) string {
	for _, unit := range []struct {
		size float64
		name string
	}{{1e9, " B"}, {1e6, " M"}, {1e3, " k"}} {
		if v >= unit.size || v <= -unit.size {
			text := strconv.FormatFloat(v/unit.size, 'f', 1, 64)
			return minus(strings.TrimSuffix(text, ".0") + unit.name)
		}
	}
	return minus(strconv.FormatFloat(v, 'f', -1, 64))
}

// minus writes a number's sign as tables do.
func minus(number string) string { return strings.Replace(number, "-", "\u2212", 1) }

var (
	styled = regexp.MustCompile(` style="([^"]*)"`)
	opened = regexp.MustCompile(`<svg [^>]*viewBox="([^"]*)"[^>]*>`)
	colour = regexp.MustCompile(`^rgb\((\d+),(\d+),(\d+)\)$`)
)

// inline gives the drawing as part of a page: its styles as classes and
// attributes, with a name and a description for who does not see it.
func inline(p *charts.Painter, name, title, description, more string) (template.HTML, error) {
	drawn, err := p.Bytes()
	if err != nil {
		return "", fmt.Errorf("draw %s: %w", name, err)
	}
	svg := styled.ReplaceAllStringFunc(string(drawn), func(s string) string { return attributes(styled.FindStringSubmatch(s)[1]) })
	svg = opened.ReplaceAllStringFunc(svg, func(s string) string {
		return fmt.Sprintf(`<svg class="%[1]s" viewBox="%[2]s" role="img" aria-labelledby="%[1]s-t %[1]s-d"><title id="%[1]s-t">%[3]s</title><desc id="%[1]s-d">%[4]s</desc>`,
			name, opened.FindStringSubmatch(s)[1], html.EscapeString(title), html.EscapeString(description))
	})
	svg = strings.Replace(svg, "</svg>", more+"</svg>", 1)
	return template.HTML(svg), nil // the texts are escaped above, the rest is the library's drawing
}

// attributes turns the library's style into attributes and classes.
func attributes(style string) string {
	var classes, rest []string
	for declaration := range strings.SplitSeq(style, ";") {
		property, value, _ := strings.Cut(declaration, ":")
		switch property {
		case "fill", "stroke":
			if c := colour.FindStringSubmatch(value); c != nil {
				classes = append(classes, property[:1]+c[1]+"-"+c[3])
				continue
			}
			rest = append(rest, fmt.Sprintf(`%s="%s"`, property, value))
		case "stroke-width", "font-size":
			rest = append(rest, fmt.Sprintf(`%s="%s"`, property, value))
		}
	}
	out := ""
	if len(classes) > 0 {
		out = ` class="` + strings.Join(classes, " ") + `"`
	}
	if len(rest) > 0 {
		out += " " + strings.Join(rest, " ")
	}
	return out
}
