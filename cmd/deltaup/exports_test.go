package main

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// kept are exported symbols that no other package needs, and why they stay; a type with its
// members.
var kept = map[string]string{
	"apply.Request.CPU":                    "tests of apply choose the route by it",
	"artifact.Register":                    "tests of many packages add a kind",
	"delta/patchset.ErrFrom":               "tests of artifact look for it",
	"internal/medium.SetHook":              "tests of device let a medium fail by it",
	"mirror/client.Options.Retries":        "tests of apply and trust want few",
	"mirror/client.Options.RetryDelay":     "tests of apply do not want to wait",
	"mkimage.Options.Chunking":             "tests of apply and of diff want small chunks",
	"slotboot/counted.ErrSlots":            "tests of grub look for it",
	"slotboot/counted.FailedBoot.FellBack": "tests of dist and device note failed boots",
	"slotboot/counted.FailedBoot.Trial":    "tests of dist and device note failed boots",
	"slotboot/grub.ArgGrubenv":             "tests that boot machines pass it",
	"slotboot/grub.Entry":                  "tests that boot machines write scripts of their own",
	"slotboot/grub.Script":                 "tests that boot machines write scripts of their own",
	"trust.Options.Now":                    "tests turn the clock",
	"trust.PublisherOptions.Now":           "tests turn the clock",
	"trust.Roles":                          "tests of the commands go through all roles",
}

// TestExports: what a package exports another one uses, be it one below internal/test; files of
// tests do not count. Methods that an interface wants, fields with a tag and those of results need
// no other use.
func TestExports(t *testing.T) {
	if testing.Short() {
		t.Skip("type-checks everything")
	}
	p := checkedProgram(t)
	p.findUses()
	var found []string
	for _, pkg := range p.ours {
		if !testOnly(ourPath(pkg)) && pkg.Name() != "main" {
			found = append(found, p.unused(pkg)...)
		}
	}
	needed := map[string]bool{}
	for _, name := range found {
		reason := name
		if member := strings.LastIndex(name, "."); kept[name] == "" && kept[name[:member]] != "" {
			reason = name[:member]
		}
		if needed[reason] = true; kept[reason] == "" {
			t.Errorf("%s: exported, and no other package uses it", name)
		}
	}
	for name := range kept {
		if !needed[name] {
			t.Errorf("%s is in the list for nothing", name)
		}
	}
}

func ourPath(p *types.Package) string { return strings.TrimPrefix(p.Path(), "deltaup/") }

// program is all of our packages, without their tests.
type program struct {
	fset       *token.FileSet
	ours       []*types.Package // each behind those that it imports
	info       map[*types.Package]*types.Info
	interfaces []*types.Interface // of ours and of what they import
	used       map[types.Object]bool
	made       map[types.Object]bool // types of which another package writes values
}

// checkedProgram type-checks our packages, each with the ones that it imports.
func checkedProgram(t *testing.T) *program {
	t.Helper()
	cmd := exec.Command("go", "list", "-export", "-deps", "-json=ImportPath,Dir,GoFiles,Export", "deltaup/...")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	must(t, err)
	type listed struct {
		ImportPath, Dir, Export string
		GoFiles                 []string
	}
	exports := map[string]string{}
	p := &program{fset: token.NewFileSet(), info: map[*types.Package]*types.Info{}, used: map[types.Object]bool{},
		made: map[types.Object]bool{}}
	foreign := importer.ForCompiler(p.fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	known := map[string]*types.Package{}
	config := types.Config{Importer: importerFunc(func(path string) (*types.Package, error) {
		if pkg := known[path]; pkg != nil {
			return pkg, nil
		}
		pkg, err := foreign.Import(path)
		if err == nil {
			known[path] = pkg
			p.addInterfaces(pkg)
		}
		return pkg, err
	})}
	p.interfaces = append(p.interfaces, types.Universe.Lookup("error").Type().Underlying().(*types.Interface))
	for dec := json.NewDecoder(strings.NewReader(string(out))); dec.More(); {
		var l listed
		must(t, dec.Decode(&l))
		exports[l.ImportPath] = l.Export
		if !strings.HasPrefix(l.ImportPath, "deltaup/") {
			continue
		}
		var files []*ast.File
		for _, name := range l.GoFiles {
			file, err := parser.ParseFile(p.fset, filepath.Join(l.Dir, name), nil, 0)
			must(t, err)
			files = append(files, file)
		}
		info := &types.Info{
			Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{},
			Selections: map[*ast.SelectorExpr]*types.Selection{}, Types: map[ast.Expr]types.TypeAndValue{},
		}
		pkg, err := config.Check(l.ImportPath, p.fset, files, info)
		must(t, err)
		known[l.ImportPath], p.info[pkg] = pkg, info
		p.ours = append(p.ours, pkg)
		p.addInterfaces(pkg)
	}
	for _, path := range []string{"encoding", "encoding/json"} { // what they want nobody need name
		_, err := config.Importer.Import(path)
		must(t, err)
	}
	return p
}

type importerFunc func(path string) (*types.Package, error)

func (f importerFunc) Import(path string) (*types.Package, error) { return f(path) }

func (p *program) addInterfaces(pkg *types.Package) {
	for _, name := range pkg.Scope().Names() {
		if n, ok := pkg.Scope().Lookup(name).(*types.TypeName); ok {
			if i, ok := n.Type().Underlying().(*types.Interface); ok {
				p.interfaces = append(p.interfaces, i)
			}
		}
	}
}

// findUses marks what packages use of others.
func (p *program) findUses() {
	for _, pkg := range p.ours {
		info := p.info[pkg]
		for _, o := range info.Uses {
			p.use(pkg, o)
		}
		for _, s := range info.Selections {
			p.useEmbedded(pkg, s)
		}
		p.usePromoted(pkg)
		for e, tv := range info.Types {
			lit, ok := e.(*ast.CompositeLit)
			if !ok {
				continue
			}
			if n, ok := tv.Type.(*types.Named); ok && n.Obj().Pkg() != pkg {
				p.made[n.Origin().Obj()] = true
			}
			if len(lit.Elts) == 0 {
				continue
			}
			s, ok := tv.Type.Underlying().(*types.Struct)
			if _, keyed := lit.Elts[0].(*ast.KeyValueExpr); !ok || keyed {
				continue
			}
			for f := range s.Fields() {
				p.use(pkg, f)
			}
		}
	}
}

// useEmbedded marks the fields by which a selected one was come to.
func (p *program) useEmbedded(pkg *types.Package, s *types.Selection) {
	t := s.Recv()
	for _, i := range s.Index()[:len(s.Index())-1] {
		if ptr, ok := t.Underlying().(*types.Pointer); ok {
			t = ptr.Elem()
		}
		f := t.Underlying().(*types.Struct).Field(i)
		p.use(pkg, f)
		t = f.Type()
	}
}

// usePromoted marks the methods that types of pkg have from embedded ones and need for an
// interface.
func (p *program) usePromoted(pkg *types.Package) {
	for _, name := range pkg.Scope().Names() {
		n, ok := pkg.Scope().Lookup(name).(*types.TypeName)
		if !ok || types.IsInterface(n.Type()) {
			continue
		}
		for _, i := range p.interfaces {
			if ptr := types.NewPointer(n.Type()); types.Implements(ptr, i) {
				for m := range i.Methods() {
					o, _, _ := types.LookupFieldOrMethod(ptr, false, m.Pkg(), m.Name())
					p.use(pkg, o)
				}
			}
		}
	}
}

// use marks what another package uses, and the types by which that is described.
func (p *program) use(by *types.Package, o types.Object) {
	if o.Pkg() == nil || o.Pkg() == by || p.info[o.Pkg()] == nil {
		return
	}
	switch x := o.(type) {
	case *types.Func:
		o = x.Origin()
	case *types.Var:
		o = x.Origin()
	}
	if p.used[o] {
		return
	}
	p.used[o] = true
	p.useTypes(by, o.Type(), map[types.Type]bool{})
	if n, ok := o.(*types.TypeName); ok {
		p.useTypes(by, n.Type().Underlying(), map[types.Type]bool{})
	}
}

// useTypes marks the named types that t is made of.
func (p *program) useTypes(by *types.Package, t types.Type, seen map[types.Type]bool) {
	if seen[t] {
		return
	}
	seen[t] = true
	switch x := t.(type) {
	case *types.Named:
		p.use(by, x.Obj())
		for a := range x.TypeArgs().Types() {
			p.useTypes(by, a, seen)
		}
	case *types.Alias:
		p.use(by, x.Obj())
		p.useTypes(by, types.Unalias(x), seen)
	case *types.Signature:
		for v := range x.Params().Variables() {
			p.useTypes(by, v.Type(), seen)
		}
		for v := range x.Results().Variables() {
			p.useTypes(by, v.Type(), seen)
		}
	case *types.Struct:
		for f := range x.Fields() {
			if f.Exported() {
				p.useTypes(by, f.Type(), seen)
			}
		}
	case *types.Map:
		p.useTypes(by, x.Key(), seen)
		p.useTypes(by, x.Elem(), seen)
	case *types.Interface:
		for m := range x.Methods() {
			p.useTypes(by, m.Type(), seen)
		}
	case interface{ Elem() types.Type }: // a pointer, a slice, an array, a channel
		p.useTypes(by, x.Elem(), seen)
	}
}

// unused are the exported symbols of a package that no other uses.
func (p *program) unused(pkg *types.Package) (names []string) {
	report := func(o types.Object, format string, args ...any) {
		if o.Exported() && !p.used[o] {
			names = append(names, ourPath(pkg)+"."+fmt.Sprintf(format, args...))
		}
	}
	for _, name := range pkg.Scope().Names() {
		o := pkg.Scope().Lookup(name)
		if c, ok := o.(*types.Const); ok && p.used[enumeration(c)] {
			continue
		}
		report(o, "%s", name)
		n, ok := o.(*types.TypeName)
		if !ok || !o.Exported() || n.IsAlias() {
			continue
		}
		named := n.Type().(*types.Named)
		for m := range named.Methods() {
			if !p.wanted(named, m) {
				report(m, "%s.%s", name, m.Name())
			}
		}
		if s, ok := named.Underlying().(*types.Struct); ok && !p.result(n, s) {
			for i := range s.NumFields() {
				if s.Tag(i) == "" && !s.Field(i).Embedded() {
					report(s.Field(i), "%s.%s", name, s.Field(i).Name())
				}
			}
		}
	}
	return names
}

// result tells whether other packages only get values of a struct: statistics or an event, which a
// caller is meant to read as a whole.
func (p *program) result(n *types.TypeName, s *types.Struct) bool {
	for f := range s.Fields() {
		if !f.Exported() {
			return false
		}
	}
	return p.used[n] && !p.made[n]
}

// enumeration is the type whose values a constant is one of; nil when it has none of its own.
func enumeration(c *types.Const) types.Object {
	if n, ok := c.Type().(*types.Named); ok {
		return n.Obj()
	}
	return nil
}

// wanted tells whether a method is there for an interface, also one that only package errors knows.
func (p *program) wanted(t *types.Named, m *types.Func) bool {
	if slices.Contains([]string{"Unwrap", "Is", "As"}, m.Name()) {
		return true
	}
	for _, i := range p.interfaces {
		if o, _, _ := types.LookupFieldOrMethod(i, false, m.Pkg(), m.Name()); o != nil &&
			(types.Implements(t, i) || types.Implements(types.NewPointer(t), i)) {
			return true
		}
	}
	return false
}
