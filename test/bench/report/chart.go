package report

import (
	"bytes"
	"fmt"
	"image/color"
	"math"
	"os"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// colours are of the runtimes, but runc, in their order. They differ in
// lightness too, for those who see fewer hues.
var colours = []color.Color{
	color.RGBA{0x8a, 0x8f, 0x98, 255},
	color.RGBA{0xe0, 0x8a, 0x1e, 255},
	color.RGBA{0x1f, 0x5f, 0xc4, 255},
	color.RGBA{0x1b, 0x8a, 0x5a, 255},
	color.RGBA{0x9b, 0x2c, 0x8e, 255},
}

// legend is how many rows the legend takes, above the lines.
const legend = 4.5

// Chart draws what each line costs in parts of what it costs under runc, as an
// SVG file. A line that runc has no number for, or that is no cost, is not there.
func (r *Run) Chart(file string) error {
	rows, ticks := r.chartRows()
	plot.DefaultFont.Variant = "Sans"
	p := plot.New()
	p.Title.Text = "Cost of each line, in parts of runc's (log scale; left is better)"
	p.Title.TextStyle.Font.Size = vg.Points(13)
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.TickerFunc(decades)
	p.Y.Tick.Marker = plot.ConstantTicks(ticks)
	p.Y.Min, p.Y.Max = -0.7, float64(len(ticks))+legend
	p.Y.LineStyle.Width, p.Y.Tick.LineStyle.Width = 0, 0
	p.Legend.Top, p.Legend.Left = true, false
	p.Add(plotter.NewGrid())
	at1, err := plotter.NewLine(plotter.XYs{{X: 1, Y: p.Y.Min}, {X: 1, Y: p.Y.Max}})
	if err != nil {
		return err
	}
	p.Add(at1)
	for i, rt := range r.Runtimes {
		if rt.Name == "runc" {
			continue
		}
		points := plotter.XYs{}
		for _, row := range rows {
			if x, ok := ratio(row.Results[rt.Name], row.Results["runc"]); ok {
				points = append(points, plotter.XY{X: x, Y: row.y})
			}
		}
		style := draw.GlyphStyle{Color: colours[(i-1)%len(colours)], Radius: vg.Points(3.2), Shape: draw.CircleGlyph{}}
		if err := dots(p, rt.Name, points, style); err != nil {
			return err
		}
	}
	points := plotter.XYs{}
	for _, row := range rows {
		if ref, ok := References[row.Name]; ok {
			points = append(points, plotter.XY{X: ref.GVisor / ref.Native, Y: row.y})
		}
	}
	hollow := draw.GlyphStyle{Color: color.Black, Radius: vg.Points(3.2), Shape: draw.RingGlyph{}}
	if err := dots(p, "gVisor systrap (reference: not measured here)", points, hollow); err != nil {
		return err
	}
	return save(p, vg.Points(820), vg.Points(60+13*(float64(len(ticks))+legend)), file)
}

// save writes the plot as SVG, with fonts that are like the plot's own where a
// reader has not got those.
func save(p *plot.Plot, w, h vg.Length, file string) error {
	svg := vgsvg.New(w, h)
	const margin = 10
	p.Draw(draw.Crop(draw.New(svg), margin, -margin, margin, -margin))
	var b bytes.Buffer
	if _, err := svg.WriteTo(&b); err != nil {
		return err
	}
	const own = "font-family:Liberation Sans"
	return os.WriteFile(file, bytes.ReplaceAll(b.Bytes(), []byte(own), []byte(own+",Arial,Helvetica,sans-serif")), 0o644)
}

// dots adds a series, if it has points.
func dots(p *plot.Plot, name string, points plotter.XYs, style draw.GlyphStyle) error {
	if len(points) == 0 {
		return nil
	}
	s, err := plotter.NewScatter(points)
	if err != nil {
		return err
	}
	s.GlyphStyle = style
	p.Add(s)
	p.Legend.Add(name, s)
	return nil
}

// A chartRow is a line and its height in the chart.
type chartRow struct {
	*Line
	y float64
}

// chartRows says at which height each line is, and what is written there: lines
// from top to bottom, with the name of its part above each group.
func (r *Run) chartRows() (rows []chartRow, ticks []plot.Tick) {
	for _, p := range r.Parts {
		if !slices.ContainsFunc(p.Lines, func(l *Line) bool { return l.Unit != Share }) {
			continue
		}
		ticks = append(ticks, plot.Tick{Label: "— " + p.Name + " —"})
		for _, l := range p.Lines {
			if _, ok := ratio(l.Results["runc"], l.Results["runc"]); ok && l.Unit != Share {
				rows = append(rows, chartRow{l, float64(len(ticks))})
				ticks = append(ticks, plot.Tick{Label: l.Name})
			}
		}
	}
	top := float64(len(ticks) - 1)
	for i := range ticks {
		ticks[i].Value = top - float64(i)
	}
	for i := range rows {
		rows[i].y = top - rows[i].y
	}
	return rows, ticks
}

// decades labels 1, 2 and 5 of each power of ten between least and most.
func decades(least, most float64) (ticks []plot.Tick) {
	for e := math.Floor(math.Log10(least)); e <= math.Ceil(math.Log10(most)); e++ {
		for _, m := range []float64{1, 2, 5} {
			if v := m * math.Pow(10, e); v >= least && v <= most {
				ticks = append(ticks, plot.Tick{Value: v, Label: fmt.Sprintf("×%g", v)})
			}
		}
	}
	return ticks
}
