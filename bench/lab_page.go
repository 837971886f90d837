package main

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"
)

// page is what lab writes: all that it needs is in it.
type page struct {
	*lab
	ISA            string
	Chapters       []*chapter
	reading, total time.Duration
}

// chapter is an experiment's part of the page.
type chapter struct {
	experiment
	*findings
	Number        int
	Figures       []figure
	took, drawing time.Duration
}

// figure is a picture as the page has it.
type figure struct {
	Name, Caption string
	Wide          bool
	Width         int // in CSS pixels, at most
	SVG           template.HTML
}

//go:embed lab.html
var pageText string

var pageTemplate = template.Must(template.New("lab.html").Parse(pageText))

func (p *page) write(w io.Writer) error { return pageTemplate.Execute(w, p) }

// Total is how long all of it took.
func (p *page) Total() string { return seconds(p.total) }

// Times shows where the time went.
func (p *page) Times() table {
	t := table{Caption: "Where the time went", Head: []string{"", "runs", "seconds", "of them drawing", "share"}}
	share := func(d time.Duration) string { return fmt.Sprintf("%.0f %%", 100*d.Seconds()/p.total.Seconds()) }
	t.Rows = append(t.Rows, []string{"reading the data", "", seconds(p.reading), "", share(p.reading)})
	for _, c := range p.Chapters {
		t.Rows = append(t.Rows, []string{c.Name(), fmt.Sprint(len(c.runs)), seconds(c.took + c.drawing), seconds(c.drawing), share(c.took + c.drawing)})
	}
	t.Rows = append(t.Rows, []string{"all of it", "", seconds(p.total), "", ""})
	return t
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f", d.Seconds()) }

// Name is the anchor of the chapter.
func (c *chapter) Name() string { return c.name }

// Title is what the chapter is called.
func (c *chapter) Title() string { return c.title }

// Text is what is tried and what to see.
func (c *chapter) Text() []string { return c.text }

// Settings are names and values.
func (c *chapter) Settings() [][2]string { return c.settings }

// Took says how long the runs took.
func (c *chapter) Took() string { return seconds(c.took) }

// Claims are the chapter's, as a table.
func (c *chapter) Claims() table { return claimTable(c.claims) }

// Tables are the chapter's numbers.
func (c *chapter) Tables() []table { return c.tables }

// Runs lists the runs with their whole hashes.
func (c *chapter) Runs() table {
	t := table{Head: []string{"run", "weights' SHA-256"}}
	for _, r := range c.runs {
		t.Rows = append(t.Rows, []string{r.name, r.hash})
	}
	return t
}

// Hash is the SHA-256 of the lines of all runs' hashes.
func (c *chapter) Hash() string {
	h := sha256.New()
	for _, r := range c.runs {
		fmt.Fprintln(h, r.hash)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

func claimTable(claims []claim) table {
	t := table{Caption: "Expected and measured", Head: []string{"expected", "measured", "holds"}}
	for _, c := range claims {
		t.Rows = append(t.Rows, []string{c.Expected, c.Measured, c.Verdict})
	}
	return t
}

// draw writes the chapter's pictures to files in dir, and keeps them for the page.
func (c *chapter) draw(dir string) error {
	for _, p := range c.pictures {
		if err := writeFile(filepath.Join(dir, p.name+".png"), p.writePNG); err != nil {
			return err
		}
		svg, err := p.inline()
		if err != nil {
			return err
		}
		c.Figures = append(c.Figures, figure{p.name, p.caption, p.width > smallWidth, int(p.width * 1.6), svg})
	}
	return nil
}

// inline is the picture as an element of a page: without the declarations of a file of
// its own, and with a size that the page chooses.
func (p picture) inline() (template.HTML, error) {
	var svg bytes.Buffer
	if err := p.writeSVG(&svg); err != nil {
		return "", err
	}
	_, rest, found := strings.Cut(svg.String(), "<svg")
	_, content, closed := strings.Cut(rest, ">")
	if !found || !closed {
		return "", fmt.Errorf("%s: no svg element in the picture", p.name)
	}
	return template.HTML(fmt.Sprintf(`<svg viewBox="0 0 %g %g" role="img" aria-labelledby="caption-%s">`, p.width, p.height, p.name) + content), nil
}

// printTable writes a table as text.
func printTable(out io.Writer, t table) error {
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintf(w, "\n%s\n", strings.Join(t.Head, "\t"))
	for _, row := range t.Rows {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	return w.Flush()
}

// short is the beginning of a hash, enough to tell it from others.
func short(hash string) string { return hash[:12] }
