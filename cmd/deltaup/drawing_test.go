package main

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"html"
	"os"
	"slices"
	"testing"
)

var updateDrawing = flag.Bool("update-drawing", false, "draw doc/architecture.svg anew")

// drawingPath is the picture of doc/architecture.md.
const drawingPath = "../../doc/architecture.svg"

// TestDrawing holds the drawing of the packages against the imports. After a change of these:
//
//	go test ./cmd/deltaup -run TestDrawing -update-drawing
func TestDrawing(t *testing.T) {
	imports := ourImports(t)
	got := draw(imports)
	if *updateDrawing {
		if err := os.WriteFile(drawingPath, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(drawingPath)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s shows other imports than the packages have: draw it anew with -update-drawing", drawingPath)
	}
}

// box is a package in the drawing.
type box struct {
	pkg     string
	level   int // 0: nothing of ours imports it
	x, y, w int // of its top left corner, and its width
}

const (
	boxHeight = 26
	boxGap    = 16 // between the boxes of a row
	rowGap    = 58 // between rows, for the arrows
	rowWidth  = 1100
	letter    = 8 // width of one, about
)

// draw gives an SVG with a box for each package and an arrow for each import that no longer way of
// imports implies. A package stands above all that it imports.
func draw(imports map[string][]string) []byte {
	boxes := map[string]*box{}
	for pkg := range imports {
		boxes[pkg] = &box{pkg: pkg, w: letter*len(pkg) + 16}
	}
	var lower func(pkg string, level int)
	lower = func(pkg string, level int) {
		boxes[pkg].level = max(boxes[pkg].level, level)
		for _, i := range imports[pkg] {
			lower(i, boxes[pkg].level+1)
		}
	}
	for pkg := range imports {
		lower(pkg, 0)
	}
	rows := rowsOf(boxes)
	height := place(rows, imports, boxes)
	var b bytes.Buffer
	fmt.Fprintf(&b, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" font-size=\"13\">\n", rowWidth, height)
	b.WriteString("<title>Packages of deltaup, each above those that it imports</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n")
	b.WriteString("<defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\">" +
		"<path d=\"M0 0L8 4L0 8z\" fill=\"#789\"/></marker></defs>\n")
	for _, row := range rows {
		for _, from := range row {
			for _, i := range direct(imports, from.pkg) {
				to := boxes[i]
				fmt.Fprintf(&b, "<path d=\"M%d %dL%d %d\" stroke=\"#789\" fill=\"none\" marker-end=\"url(#tip)\"/>\n",
					from.x+from.w/2, from.y+boxHeight, to.x+to.w/2, to.y)
			}
		}
	}
	for _, row := range rows {
		for _, x := range row {
			fmt.Fprintf(&b, "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"4\" fill=\"#eef3f8\" stroke=\"#456\"/>"+
				"<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">%s</text>\n", x.x, x.y, x.w, boxHeight, x.x+x.w/2, x.y+18, html.EscapeString(x.pkg))
		}
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// rowsOf sorts the boxes into rows by their levels.
func rowsOf(boxes map[string]*box) [][]*box {
	rows := make([][]*box, 1)
	for _, b := range boxes {
		for len(rows) <= b.level {
			rows = append(rows, nil)
		}
		rows[b.level] = append(rows[b.level], b)
	}
	for _, row := range rows {
		slices.SortFunc(row, func(a, b *box) int { return cmp.Compare(a.pkg, b.pkg) })
	}
	return rows
}

// place gives each box its place, in a row near those that import it, and returns the height of
// all.
func place(rows [][]*box, imports map[string][]string, boxes map[string]*box) (height int) {
	wish := map[*box]int{} // where the middle of a box would best be
	count := map[*box]int{}
	y := boxGap
	for _, row := range rows {
		at := func(b *box) int {
			if count[b] == 0 {
				return rowWidth / 2
			}
			return wish[b] / count[b]
		}
		slices.SortStableFunc(row, func(a, b *box) int { return cmp.Compare(at(a), at(b)) })
		for len(row) > 0 {
			n, width := 0, -boxGap
			for n < len(row) && width+boxGap+row[n].w <= rowWidth-2*boxGap {
				width += boxGap + row[n].w
				n++
			}
			x := (rowWidth - width) / 2
			for _, b := range row[:n] {
				b.x, b.y = x, y
				x += b.w + boxGap
				for _, i := range direct(imports, b.pkg) {
					wish[boxes[i]] += b.x + b.w/2
					count[boxes[i]]++
				}
			}
			row = row[n:]
			y += boxHeight + boxGap
		}
		y += rowGap - boxGap
	}
	return y - rowGap + boxGap
}

// direct are the imports of a package that none of its other imports has, itself or by others.
func direct(imports map[string][]string, pkg string) []string {
	implied := map[string]bool{}
	var mark func(pkg string)
	mark = func(pkg string) {
		for _, i := range imports[pkg] {
			if !implied[i] {
				implied[i] = true
				mark(i)
			}
		}
	}
	for _, i := range imports[pkg] {
		mark(i)
	}
	var left []string
	for _, i := range imports[pkg] {
		if !implied[i] {
			left = append(left, i)
		}
	}
	slices.Sort(left)
	return left
}
