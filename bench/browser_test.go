package bench

import (
	"encoding/json"
	"fmt"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// probe shows the page in a frame of a certain width and measures it, since the page itself has no
// script.
const probe = `<!DOCTYPE html><html><head><meta charset="utf-8"><link rel="icon" href="data:,"></head><body style="margin:0">
<iframe style="border:0;width:%[1]dpx;height:%[2]dpx;color-scheme:%[3]s" srcdoc="%[4]s"></iframe>
<script>
addEventListener("error", e => { document.title = "error: " + e.message });
addEventListener("load", () => {
  const page = document.querySelector("iframe").contentDocument, view = page.defaultView;
  const charts = [...page.querySelectorAll("svg.chart")].filter(s => view.getComputedStyle(s).display != "none");
  const folded = [...page.querySelectorAll("details:not([open]) .scroll")].length;
  page.querySelectorAll("details").forEach(d => { d.open = true });
  const out = document.createElement("script");
  out.type = "application/json";
  out.textContent = JSON.stringify({
    dark: view.matchMedia("(prefers-color-scheme: dark)").matches,
    scroll: page.documentElement.scrollWidth,
    page: view.getComputedStyle(page.body).backgroundColor,
    ink: view.getComputedStyle(page.body).color,
    tables: [...page.querySelectorAll(".scroll")].map(t => {
      const hint = t.nextElementSibling.matches(".hint") && t.nextElementSibling.getBoundingClientRect();
      return { wide: t.scrollWidth > t.clientWidth + 1, shadow: view.getComputedStyle(t).backgroundImage.split("linear-gradient").length - 1, hint: hint && hint.height > 0 };
    }),
    folded, links: [...page.querySelectorAll("nav a")].map(a => !!page.querySelector(a.getAttribute("href"))),
    charts: charts.map(s => {
      const box = s.getBoundingClientRect();
      const texts = [...s.querySelectorAll("text")].map(t => t.getBoundingClientRect()).filter(t => t.width > 0);
      const outside = texts.filter(t => t.left < box.left - 1 || t.right > box.right + 1 || t.top < box.top - 1 || t.bottom > box.bottom + 1);
      const overlap = texts.filter((t, i) => texts.some((u, j) => j > i && Math.min(t.right, u.right) - Math.max(t.left, u.left) > 2 && Math.min(t.bottom, u.bottom) - Math.max(t.top, u.top) > 5));
      return { label: s.getAttribute("aria-label"), width: box.width, height: box.height,
        letters: Math.min(...texts.map(t => t.height)), outside: outside.length, overlap: overlap.length };
    }),
  });
  document.body.append(out);
});
</script></body></html>`

// seen is what probe reports.
type seen struct {
	Dark      bool
	Scroll    float64
	Page, Ink string
	Folded    int    // tables that are folded at first
	Links     []bool // whether a link of the contents leads somewhere
	Tables    []struct {
		Wide, Hint bool // it goes on beyond the page; a line below says so
		Shadow     int  // gradients at its edges
	}
	Charts []struct {
		Label                  string
		Width, Height, Letters float64
		Outside, Overlap       int
	}
}

// TestBrowser opens the last report and a sample in Chromium, at the widths of a desk and a phone,
// light and dark. It demands no message on the console, and every chart visible, as wide as the
// page, with legible letters inside; a table that is wider than
// the page must say so. DELTAUP_SCREENSHOTS names a folder for pictures.
func TestBrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a browser")
	}
	chromium := findChromium(t)
	pages := map[string]*Report{"sample": sampleReport(), "last": lastResults(t)}
	for name, r := range pages {
		page, err := r.HTML()
		if err != nil {
			t.Fatal(err)
		}
		for _, width := range []int{1280, 400} {
			for _, scheme := range []string{"light", "dark"} {
				t.Run(fmt.Sprintf("%s %d %s", name, width, scheme), func(t *testing.T) {
					t.Parallel()
					checkPage(t, look(t, chromium, string(page), width, scheme), width, scheme)
				})
			}
		}
	}
}

func checkPage(t *testing.T, s seen, width int, scheme string) {
	if s.Dark != (scheme == "dark") {
		t.Errorf("the page is dark: %v", s.Dark)
	}
	if s.Page == s.Ink {
		t.Errorf("writing and page are both %s", s.Ink)
	}
	if s.Scroll > float64(width) {
		t.Errorf("the page is %.0f pixels wide", s.Scroll)
	}
	if len(s.Links) < 7 || slices.Contains(s.Links, false) {
		t.Errorf("the contents lead somewhere: %v", s.Links)
	}
	if s.Folded < 4 || len(s.Tables) != s.Folded+1 {
		t.Errorf("%d of %d tables are folded, want all but the first", s.Folded, len(s.Tables))
	}
	for i, table := range s.Tables { // a screen without a mouse shows no scroll bar
		if table.Wide && (table.Shadow < 4 || width == 400 && !table.Hint) {
			t.Errorf("table %d: %+v", i, table)
		}
	}
	if len(s.Charts) < 7 {
		t.Errorf("%d charts are visible, want 7 and more", len(s.Charts))
	}
	for _, c := range s.Charts {
		if c.Width < 340 || c.Height < 100 || c.Width > float64(width) {
			t.Errorf("%s: %.0f by %.0f pixels", c.Label, c.Width, c.Height)
		}
		if c.Letters < 11 || c.Outside > 0 || c.Overlap > 0 {
			t.Errorf("%s: letters of %.1f pixels, %d texts outside, %d on one another", c.Label, c.Letters, c.Outside, c.Overlap)
		}
	}
}

// look opens a page and gives what probe reports.
func look(t *testing.T, chromium, page string, width int, scheme string) seen {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "probe.html")
	const height = 9000
	if err := os.WriteFile(file, fmt.Appendf(nil, probe, width, height, scheme, html.EscapeString(page)), 0o644); err != nil {
		t.Fatal(err)
	}
	args := []string{
		"--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage", "--disable-background-networking",
		"--no-first-run", "--enable-logging=stderr", "--user-data-dir=" + filepath.Join(dir, "profile"), "--virtual-time-budget=2000",
		fmt.Sprintf("--window-size=%d,%d", max(width, 500), height),
	}
	if folder := os.Getenv("DELTAUP_SCREENSHOTS"); folder != "" {
		picture := filepath.Join(folder, strings.ReplaceAll(filepath.Base(t.Name()), " ", "-")+".png")
		if out, err := exec.Command(chromium, append(args, "--screenshot="+picture, "file://"+file)...).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	cmd := exec.CommandContext(t.Context(), chromium, append(args, "--dump-dom", "file://"+file)...)
	var messages strings.Builder
	cmd.Stderr = &messages
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, messages.String())
	}
	for line := range strings.Lines(messages.String()) {
		if strings.Contains(line, "CONSOLE") {
			t.Errorf("on the console: %s", line)
		}
	}
	found := regexp.MustCompile(`(?s)<script type="application/json">(.*?)</script>`).FindSubmatch(out)
	if found == nil {
		t.Fatalf("the page told nothing\n%s", messages.String())
	}
	var s seen
	if err := json.Unmarshal(found[1], &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func findChromium(t *testing.T) string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("DELTAUP_TEST_ALL") != "" {
		t.Fatal("no chromium")
	}
	t.Skip("no chromium")
	return ""
}
