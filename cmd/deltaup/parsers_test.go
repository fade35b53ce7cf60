package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// unfuzzed lists the parsers that no fuzz target runs, each with the reason.
var unfuzzed = map[string]string{
	"cmd/deltaup.inspectStoredRecipe":  "hands on to mkimage.ParseRecipe, which is fuzzed",
	"mkimage/trace.ring.drain":         "the kernel's own memory; the records in it are fuzzed",
	"mkimage/trace.watch.take":         "events of the kernel",
	"internal/test/disktest.ParseLog":  "what QEMU has written for the test",
	"internal/test/toykind.Kind.Parse": "recipes that tests make",
}

// TestParsersAreFuzzed demands for each parser of bytes from outside a fuzz target that runs it.
// What a target runs is judged by names alone: a selector stands for every method of that name in
// its package and the packages imported.
func TestParsersAreFuzzed(t *testing.T) {
	c := readCode(t, "../..")
	fuzzed := map[string]bool{}
	targets := 0
	for name, f := range c.funcs {
		if strings.HasPrefix(f.name, "Fuzz") {
			targets++
			c.reach(name, fuzzed)
		}
	}
	parsers := 0
	for name, f := range c.funcs {
		if f.test || !f.parses() {
			continue
		}
		parsers++
		if _, exempt := unfuzzed[name]; !exempt && !fuzzed[name] {
			t.Errorf("no fuzz target runs %s, which takes bytes apart", name)
		}
	}
	for name, why := range unfuzzed {
		if c.funcs[name] == nil || fuzzed[name] {
			t.Errorf("%s is listed without need (%s)", name, why)
		}
	}
	if targets < 40 || parsers < 60 {
		t.Errorf("found %d targets and %d parsers: they are looked for in the wrong place", targets, parsers)
	}
}

// function is one of our functions or methods, or a package variable, whose value may name
// functions.
type function struct {
	pkg, recv, name string         // recv: the receiver's type without its star
	test            bool           // only tests have it
	params          *ast.FieldList // nil: a variable
	body            ast.Node
	// of its file: our packages by the name that the file calls them
	imports map[string]string
}

// code is all of the module's functions and package variables by name: PACKAGE.NAME or
// PACKAGE.TYPE.METHOD.
type code struct {
	funcs   map[string]*function
	methods map[string][]string // by PACKAGE.METHOD
}

func readCode(t *testing.T, root string) *code {
	t.Helper()
	c := &code{map[string]*function{}, map[string][]string{}}
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && slices.Contains([]string{".git", "bench", "bin", "tmp", "testdata"}, d.Name()) {
			return filepath.SkipDir
		}
		if strings.HasSuffix(file, ".go") {
			return c.add(root, file)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *code) add(root, file string) error {
	syntax, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	dir, err := filepath.Rel(root, filepath.Dir(file))
	if err != nil {
		return err
	}
	imports := map[string]string{}
	for _, i := range syntax.Imports {
		full, err := strconv.Unquote(i.Path.Value)
		ours, ok := strings.CutPrefix(full, "deltaup/")
		if err != nil || !ok {
			continue
		}
		name := path.Base(ours)
		if i.Name != nil {
			name = i.Name.Name
		}
		imports[name] = ours
	}
	test := strings.HasSuffix(file, "_test.go")
	for _, d := range syntax.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			c.addFunc(d, &function{pkg: dir, name: d.Name.Name, test: test, params: d.Type.Params, imports: imports})
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				if v, ok := spec.(*ast.ValueSpec); ok {
					for _, n := range v.Names {
						c.funcs[dir+"."+n.Name] = &function{pkg: dir, name: n.Name, test: test, body: v, imports: imports}
					}
				}
			}
		}
	}
	return nil
}

func (c *code) addFunc(d *ast.FuncDecl, f *function) {
	if d.Body != nil {
		f.body = d.Body
	}
	full := f.pkg + "." + f.name
	if d.Recv != nil {
		f.recv = strings.TrimPrefix(types.ExprString(d.Recv.List[0].Type), "*")
		full = f.pkg + "." + f.recv + "." + f.name
		c.methods[f.pkg+"."+f.name] = append(c.methods[f.pkg+"."+f.name], full)
	}
	c.funcs[full] = f
}

var (
	parserName = regexp.MustCompile(`^(?i:parse|read|decode|unmarshal|load|open|from|derive|inverse|forward|decompress|unpack)`)
	// decoding is what a function calls that takes bytes apart by itself.
	decoding = regexp.MustCompile(`^(json\.(Unmarshal|NewDecoder)|toml\.(Unmarshal|NewDecoder)|binary\.(Read|Uvarint|Varint|\w+Endian\.Uint\d+)|` +
		`bufio\.NewScanner|(tar|xz|zstd|lz4|gzip|flate|zlib|brotli)\.New(Reader|Decoder))$`)
)

// parses tells whether a function takes bytes apart: by its name and parameters, or by what it
// calls.
func (f *function) parses() bool {
	if f.params == nil || f.recv != "" && (f.name == "Read" || f.name == "ReadAt") {
		return false // io.Reader's and io.ReaderAt's methods hand bytes on
	}
	parse := strings.HasPrefix(strings.ToLower(f.name), "parse")
	if parserName.MatchString(f.name) && slices.ContainsFunc(f.params.List, func(p *ast.Field) bool {
		switch types.ExprString(p.Type) {
		case "[]byte", "io.Reader", "io.ReaderAt", "*bufio.Reader":
			return true
		case "string":
			return parse
		}
		return false
	}) {
		return true
	}
	decodes := false
	ast.Inspect(f.body, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		decodes = decodes || ok && decoding.MatchString(types.ExprString(call.Fun))
		return !decodes
	})
	return decodes
}

// reach marks a function and all that it may call.
func (c *code) reach(name string, seen map[string]bool) {
	f := c.funcs[name]
	if f == nil || seen[name] || f.body == nil {
		return
	}
	seen[name] = true
	ast.Inspect(f.body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Ident:
			c.reach(f.pkg+"."+n.Name, seen)
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && f.imports[x.Name] != "" {
				c.reach(f.imports[x.Name]+"."+n.Sel.Name, seen)
			}
			for _, pkg := range append(slices.Collect(maps.Values(f.imports)), f.pkg) {
				for _, m := range c.methods[pkg+"."+n.Sel.Name] {
					c.reach(m, seen)
				}
			}
		}
		return true
	})
}
