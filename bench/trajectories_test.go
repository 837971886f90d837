package main

import (
	"context"
	"encoding/xml"
	"fmt"
	"image/png"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg/draw"

	"github.com/lockstep-go/lockstep/optim"
)

// TestTrajectories draws all rules.
func TestTrajectories(t *testing.T) {
	out := filepath.Join(t.TempDir(), "not", "there")
	status, stdout, stderr := bench("trajectories", "--out", out)
	if status != 0 || stderr != "" {
		t.Fatalf("status %d, stderr %q", status, stderr)
	}
	entries, err := os.ReadDir(out)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if want := []string{"trajectories.png", "trajectories.svg"}; !slices.Equal(names, want) {
		t.Errorf("files %q, want %q", names, want)
	}

	f, err := os.Open(filepath.Join(out, "trajectories.png"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	picture, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	if size := picture.Bounds().Size(); size.X < 1600 || size.Y < 1600 {
		t.Errorf("trajectories.png has %v pixels", size)
	}

	svg, err := os.Open(filepath.Join(out, "trajectories.svg"))
	if err != nil {
		t.Fatal(err)
	}
	defer svg.Close()
	titles := svgTexts(t, svg)
	for _, rule := range optim.Names() {
		if !regexp.MustCompile(`(?m)^` + rule + ` +lr \d.* -?\d+\.\d{4} +-?\d+\.\d{4} +\S+$`).MatchString(stdout) {
			t.Errorf("no row of %s in the table\n%s", rule, stdout)
		}
		if !titles[rule] {
			t.Errorf("no panel of %s in trajectories.svg", rule)
		}
	}
	for _, want := range []string{"lr 0.95", "lr 0.1, dampening 0.5, momentum 0.9"} {
		if !titles[want] || !strings.Contains(stdout, want) {
			t.Errorf("the options %q are not in the table and in trajectories.svg", want)
		}
	}
}

// svgTexts are the texts of a picture.
func svgTexts(t *testing.T, svg io.Reader) map[string]bool {
	t.Helper()
	texts := map[string]bool{}
	for d := xml.NewDecoder(svg); ; {
		token, err := d.Token()
		if err == io.EOF {
			return texts
		}
		if err != nil {
			t.Fatalf("SVG: %v", err)
		}
		if text, ok := token.(xml.CharData); ok {
			texts[strings.TrimSpace(string(text))] = true
		}
	}
}

func TestTrajectoryOptions(t *testing.T) {
	got, want := slices.Sorted(maps.Keys(trajectoryOptions)), optim.Names()
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("options for %q, want them for %q", got, want)
	}
}

// TestFollow compares with the book's formulas in float64.
func TestFollow(t *testing.T) {
	const steps = 30
	for _, c := range []struct {
		rule string
		// update changes a parameter by its gradient in step n, and two numbers of state.
		update func(n, p, g float64, s *[2]float64) float64
	}{
		{"sgd", func(n, p, g float64, s *[2]float64) float64 { return p - 0.95*g }},
		{"momentum", func(n, p, g float64, s *[2]float64) float64 {
			s[0] = 0.9*s[0] - 0.1*g
			return p + s[0]
		}},
		{"adagrad", func(n, p, g float64, s *[2]float64) float64 {
			s[0] += g * g
			return p - 1.5*g/(math.Sqrt(s[0])+1e-7)
		}},
		{"adam", func(n, p, g float64, s *[2]float64) float64 {
			s[0] += (1 - 0.9) * (g - s[0])
			s[1] += (1 - 0.999) * (g*g - s[1])
			lr := 0.3 * math.Sqrt(1-math.Pow(0.999, n)) / (1 - math.Pow(0.9, n))
			return p - lr*s[0]/(math.Sqrt(s[1])+1e-7)
		}},
	} {
		got, err := follow(t.Context(), c.rule, steps)
		if err != nil {
			t.Fatal(err)
		}
		if len(got.path) != steps+1 || got.mean != nil {
			t.Fatalf("%s: a path of %d points and a mean of %d, want %d and 0", c.rule, len(got.path), len(got.mean), steps+1)
		}
		x, y := -7.0, 2.0
		var stateX, stateY [2]float64
		for n, at := range got.path {
			if n > 0 {
				x, y = c.update(float64(n), x, x/10, &stateX), c.update(float64(n), y, 2*y, &stateY)
			}
			if math.Abs(at.X-x) > 1e-4 || math.Abs(at.Y-y) > 1e-4 {
				t.Errorf("%s: (%v, %v) after %d steps, want (%v, %v)", c.rule, at.X, at.Y, n, x, y)
				break
			}
		}
	}
}

// TestFollowMean: of the path of ASGD there is also the mean, from two points on.
func TestFollowMean(t *testing.T) {
	got, err := follow(t.Context(), "asgd", 30)
	if err != nil {
		t.Fatal(err)
	}
	from := 2 + int(trajectoryOptions["asgd"]["t0"]) // the mean of this point alone is the point
	if want := len(got.path) - from - 1; len(got.mean) != want {
		t.Fatalf("%d points, want %d", len(got.mean), want)
	}
	var x, y float64
	for i, at := range got.path[from:] {
		x, y = x+at.X, y+at.Y
		if i == 0 {
			continue
		}
		mean := got.mean[i-1]
		if n := float64(i + 1); math.Abs(mean.X-x/n) > 1e-4 || math.Abs(mean.Y-y/n) > 1e-4 {
			t.Errorf("mean of %v points (%v, %v), want (%v, %v)", n, mean.X, mean.Y, x/n, y/n)
		}
	}
}

// TestTrajectoryOutside: what leaves a panel is not drawn, be it into another.
func TestTrajectoryOutside(t *testing.T) {
	grid, err := plotTrajectories([]trajectory{
		{rule: "far", path: plotter.XYs{{X: startX, Y: startY}, {X: 1000, Y: startY}, {X: 1000, Y: -1000}, {X: 0, Y: -1000}}},
	}, panelsAcross)
	if err != nil {
		t.Fatal(err)
	}
	grid[0] = append(grid[0], (*plot.Plot)(nil)) // room for it
	var svg strings.Builder
	if err := drawSVG(&svg, 2*panelWidth, 2*panelHeight, func(c draw.Canvas) { drawPanels(c, grid) }); err != nil {
		t.Fatal(err)
	}
	points := regexp.MustCompile(`[ML](-?[\d.]+),(-?[\d.]+)`).FindAllStringSubmatch(svg.String(), -1)
	if len(points) < 100 {
		t.Fatalf("%d points in the SVG", len(points))
	}
	for _, point := range points {
		x, errX := strconv.ParseFloat(point[1], 64)
		y, errY := strconv.ParseFloat(point[2], 64)
		if errX != nil || errY != nil || x > float64(panelWidth)+10 || y < 0 {
			t.Fatalf("a line to %s, beyond the panel", point[0])
		}
	}
}

func TestTrajectoriesMisuse(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args   string
		status int
		want   []string // in the message
	}{
		{"--steps 0", 2, []string{"--steps", "at least 1"}},
		{"--steps=-1", 2, []string{"--steps", "uint"}},
		{"--optimizers sgd,adamm", 2, []string{"--optimizers", `"adamm"`, "sgd,momentum"}},
		{"--optimizers adam,adam", 2, []string{"--optimizers", "twice"}},
		{"--optimizers=", 2, []string{"--optimizers", "sgd,momentum"}},
		{"--out " + file, 1, []string{"--out", file}},
		{"--batch 1", 2, []string{"--batch"}},
	} {
		status, stdout, stderr := bench(append([]string{"trajectories"}, strings.Fields(c.args)...)...)
		if status != c.status {
			t.Errorf("%s: status %d, want %d", c.args, status, c.status)
		}
		if stdout != "" || !strings.HasPrefix(stderr, "bench: ") || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: stdout %q, stderr %q, want one line of a message", c.args, stdout, stderr)
		}
		for _, want := range c.want {
			if !strings.Contains(stderr, want) {
				t.Errorf("%s: message %q has no %q", c.args, stderr, want)
			}
		}
	}
}

// TestTrajectoriesInterrupted leaves no file.
func TestTrajectoriesInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	out := t.TempDir()
	var stdout, stderr strings.Builder
	status := run(ctx, []string{"trajectories", "--out", out}, console{&stdout, &stderr})
	if got, want := fmt.Sprint(status, " ", stdout.String(), stderr.String()), "130 bench: interrupted\n"; got != want {
		t.Errorf("status and output %q, want %q", got, want)
	}
	if entries, err := os.ReadDir(out); err != nil || len(entries) > 0 {
		t.Errorf("files %v (%v), want none", entries, err)
	}
}
