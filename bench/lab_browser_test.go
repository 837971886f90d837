//go:build browser

package main

import (
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// measure is a page that shows another at two widths, in frames, and writes down what a
// reader would get. It needs no script in that page.
const measure = `<!DOCTYPE html>
<iframe id="desktop" src="/page" style="width: 1280px; height: 900px"></iframe>
<iframe id="phone" src="/page" style="width: 390px; height: 800px"></iframe>
<pre id="seen"></pre>
<script>
onload = () => {
  const seen = {}
  for (const frame of document.querySelectorAll("iframe")) {
    const page = frame.contentDocument
    seen[frame.id] = {
      Width: page.documentElement.clientWidth,
      Scroll: page.documentElement.scrollWidth,
      Loaded: frame.contentWindow.performance.getEntriesByType("resource").map(e => e.name),
      Figures: [...page.querySelectorAll("figure")].map(figure => {
        const svg = figure.querySelector("svg")
        if (!svg) return {Name: figure.id}
        const on = svg.getBoundingClientRect(), ink = svg.getBBox(), frame = figure.getBoundingClientRect()
        return {
          Name: figure.id, Width: on.width, Height: on.height, Right: frame.right,
          InkWidth: ink.width / svg.viewBox.baseVal.width, InkHeight: ink.height / svg.viewBox.baseVal.height,
          Paths: svg.querySelectorAll("path").length, Texts: svg.querySelectorAll("text").length,
        }
      }),
    }
  }
  document.getElementById("seen").textContent = JSON.stringify(seen)
}
</script>`

// sight is what a reader gets at a width.
type sight struct {
	Width, Scroll float64
	Loaded        []string
	Figures       []struct {
		Name                                      string
		Width, Height, Right, InkWidth, InkHeight float64
		Paths, Texts                              int
	}
}

// complaints shows a page to a browser and returns what is wrong with it: a figure of these
// that is not drawn, something that is loaded from elsewhere, a page that scrolls sideways.
func complaints(t *testing.T, page string, figures []string) (wrong []string) {
	t.Helper()
	var asked sync.Map
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/measure":
			fmt.Fprint(w, measure)
		case "/page":
			// What the page would load beyond itself, from wherever, the browser reports.
			w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; img-src data:; report-uri /violation")
			fmt.Fprint(w, page)
		case "/favicon.ico": // of /measure, which has none
			http.NotFound(w, r)
		default:
			asked.Store(r.URL.String(), true)
			http.NotFound(w, r)
		}
	}))
	defer server.Close()

	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("this test wants Debian's chromium: %v", err)
	}
	command := exec.CommandContext(t.Context(), chromium, "--headless=new", "--no-sandbox", "--disable-gpu",
		"--user-data-dir="+t.TempDir(), "--disable-background-networking", "--disable-component-update", "--no-first-run",
		"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
		"--window-size=1400,1800", "--timeout=60000", "--dump-dom", server.URL+"/measure")
	command.WaitDelay = 10 * time.Second
	dom, err := command.Output()
	if err != nil {
		t.Fatalf("chromium: %v", err)
	}
	text := regexp.MustCompile(`(?s)<pre id="seen">(.*?)</pre>`).FindSubmatch(dom)
	seen := map[string]sight{}
	if text == nil || json.Unmarshal([]byte(html.UnescapeString(string(text[1]))), &seen) != nil || len(seen) != 2 {
		t.Fatalf("chromium wrote down %q", text)
	}

	complain := func(format string, a ...any) { wrong = append(wrong, fmt.Sprintf(format, a...)) }
	for width, s := range seen {
		if s.Scroll > s.Width {
			complain("%s: the page is %v wide in a window of %v", width, s.Scroll, s.Width)
		}
		if len(s.Loaded) > 0 {
			complain("%s: the page loads %q", width, s.Loaded)
		}
		var names []string
		for _, f := range s.Figures {
			names = append(names, strings.TrimPrefix(f.Name, "figure-"))
			if f.Width < 300 || f.Height < 150 || f.Right > s.Width || f.InkWidth < 0.8 || f.InkHeight < 0.8 || f.Paths < 10 || f.Texts < 5 {
				complain("%s: figure is not drawn as it should be: %+v", width, f)
			}
		}
		if !slices.Equal(names, figures) {
			complain("%s: figures %q, want %q", width, names, figures)
		}
	}
	asked.Range(func(url, _ any) bool { complain("the browser asked for %v", url); return true })
	return wrong
}

// TestPageInBrowser does the whole lab, wants what holds with any seed, and shows the page
// to a browser. Then it breaks the page, to see that this is noticed.
func TestPageInBrowser(t *testing.T) {
	out := t.TempDir()
	start := time.Now()
	if status, stdout, stderr := bench("lab", "--out", out); status != 0 {
		t.Fatalf("status %d, stdout %q, stderr %q", status, stdout, stderr)
	} else {
		t.Logf("the lab took %.0f s\n%s", time.Since(start).Seconds(), stdout)
	}
	checkVerdicts(t, readPage(t, out))
	content, err := os.ReadFile(filepath.Join(out, "index.html"))
	if err != nil {
		t.Fatal(err)
	}
	page := string(content)
	var figures []string
	for _, name := range regexp.MustCompile(`<figure id="figure-([^"]+)"`).FindAllStringSubmatch(page, -1) {
		figures = append(figures, name[1])
	}
	if len(figures) < len(experiments) {
		t.Errorf("figures %q, want at least one of each of %d experiments", figures, len(experiments))
	}
	for _, wrong := range complaints(t, page, figures) {
		t.Error(wrong)
	}

	svg := regexp.MustCompile(`(?s)(<figure id="figure-decay".*?>)\s*<svg.*?</svg>`)
	for _, c := range []struct{ name, page, want string }{
		{"a figure without its picture", svg.ReplaceAllString(page, "$1"), "figure-decay"},
		{"an empty picture", svg.ReplaceAllString(page, `$1<svg viewBox="0 0 100 50"></svg>`), "figure-decay"},
		{"no figure", regexp.MustCompile(`(?s)<figure id="figure-decay".*?</figure>`).ReplaceAllString(page, ""), "want"},
		{"a foreign picture", strings.Replace(page, "<h1>", `<img src="http://elsewhere.example/x.png" alt=""><h1>`, 1), "violation"},
		{"a foreign style", strings.Replace(page, "</head>", `<link rel="stylesheet" href="/style.css"></head>`, 1), "violation"},
		{"a wide line", strings.Replace(page, "<h1>", `<div style="width: 500px">wide</div><h1>`, 1), "phone: the page is"},
	} {
		if c.page == page {
			t.Fatalf("%s: nothing to break", c.name)
		}
		if wrong := complaints(t, c.page, figures); !strings.Contains(strings.Join(wrong, "\n"), c.want) {
			t.Errorf("%s is not noticed: %q, want a complaint with %q", c.name, wrong, c.want)
		}
	}
}
