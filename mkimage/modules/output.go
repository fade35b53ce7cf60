package modules

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"
)

// output makes the files.
func (d *depmod) output() ([]File, error) {
	type maker struct {
		name string
		make func() ([]byte, error)
	}
	text := func(f func(b *bytes.Buffer)) func() ([]byte, error) {
		return func() ([]byte, error) {
			var b bytes.Buffer
			f(&b)
			return b.Bytes(), nil
		}
	}
	lines := d.dependencies()
	makers := []maker{
		{depName, text(func(b *bytes.Buffer) {
			for _, l := range lines {
				b.WriteString(l + "\n")
			}
		})},
		{binName, d.index(func(add addValue) {
			for i, m := range d.modules {
				add(m.name, i, lines[i])
			}
		})},
		{"modules.alias", text(d.aliases)},
		{"modules.alias.bin", d.index(func(add addValue) {
			for i, m := range d.modules {
				for _, a := range m.info.aliases {
					if a, ok := normalAlias(a); ok {
						add(a, i, m.name)
					}
				}
			}
		})},
		{"modules.softdep", text(func(b *bytes.Buffer) {
			b.WriteString("# Soft dependencies extracted from modules themselves.\n")
			for _, m := range d.modules {
				for _, s := range m.info.softdeps {
					fmt.Fprintf(b, "softdep %s %s\n", m.name, s)
				}
			}
		})},
	}
	if d.kmod.version >= 33 {
		makers = append(makers, maker{"modules.weakdep", text(func(b *bytes.Buffer) {
			b.WriteString("# Weak dependencies extracted from modules themselves.\n")
			for _, m := range d.modules {
				for _, s := range m.info.weakdeps {
					fmt.Fprintf(b, "weakdep %s %s\n", m.name, s)
				}
			}
		})})
	}
	symbols := make([]string, 0, len(d.owners))
	for s := range d.owners {
		symbols = append(symbols, s)
	}
	sortByHash(symbols, 2048)
	makers = append(makers,
		maker{"modules.symbols", text(func(b *bytes.Buffer) {
			b.WriteString("# Aliases for symbols, used by symbol_request().\n")
			for _, s := range symbols {
				fmt.Fprintf(b, "alias symbol:%s %s\n", s, d.owners[s].name)
			}
		})},
		maker{"modules.symbols.bin", d.index(func(add addValue) {
			for _, s := range symbols {
				add("symbol:"+s, d.owners[s].place, d.owners[s].name)
			}
		})},
		maker{"modules.builtin.bin", d.indexOf("modules.builtin", parseBuiltin)},
		maker{"modules.builtin.alias.bin", d.indexOf("modules.builtin.modinfo", parseBuiltinAliases)},
		maker{"modules.devname", text(d.devices)},
	)
	var files []File
	for _, m := range makers {
		b, err := m.make()
		if err != nil {
			return nil, fmt.Errorf("%w: /%s/%s: %w", ErrModule, d.real, m.name, err)
		}
		files = append(files, File{d.real + "/" + m.name, b})
	}
	return files, nil
}

// dependencies are the lines of modules.dep.
func (d *depmod) dependencies() []string {
	lines := make([]string, len(d.modules))
	for i, m := range d.modules {
		var b strings.Builder
		b.WriteString(m.rel + ":")
		for _, n := range m.all() {
			b.WriteString(" " + n.rel)
		}
		lines[i] = b.String()
	}
	return lines
}

func (d *depmod) aliases(b *bytes.Buffer) {
	b.WriteString("# Aliases extracted from modules themselves.\n")
	for _, m := range d.modules {
		for _, a := range m.info.aliases {
			fmt.Fprintf(b, "alias %s %s\n", a, m.name)
		}
	}
}

var deviceAlias = regexp.MustCompile(`^(char|block)-major-([0-9]{1,9})-([0-9]{1,9})`)

// devices writes the device nodes for modules that load when somebody opens them.
func (d *depmod) devices(b *bytes.Buffer) {
	for _, m := range d.modules {
		name, number := "", ""
		for _, a := range m.info.aliases {
			if n, ok := strings.CutPrefix(a, "devname:"); ok {
				name = n
			} else if p := deviceAlias.FindStringSubmatch(a); p != nil {
				number = fmt.Sprintf("%s%s:%s", p[1][:1], decimal(p[2]), decimal(p[3]))
			}
			if name != "" && number != "" {
				break
			}
		}
		if name != "" && number != "" {
			if b.Len() == 0 {
				b.WriteString("# Device nodes to trigger on-demand module loading.\n")
			}
			fmt.Fprintf(b, "%s %s %s\n", m.name, name, number)
		}
	}
}

// decimal is a number without leading zeros.
func decimal(digits string) string {
	if s := strings.TrimLeft(digits, "0"); s != "" {
		return s
	}
	return "0"
}

// addValue adds a value to an index.
type addValue func(key string, priority int, value string)

// index makes an index of what fill adds.
func (d *depmod) index(fill func(add addValue)) func() ([]byte, error) {
	return func() ([]byte, error) {
		t := newTrie()
		var bad error
		fill(func(key string, priority int, value string) {
			if isASCII(key) && isASCII(value) {
				t.insert(key, uint32(priority), value)
			} else if bad == nil {
				bad = fmt.Errorf("%q is not ASCII", key+" "+value)
			}
		})
		if bad != nil {
			return nil, bad
		}
		if d.kmod.version >= 34 {
			return t.encodeDown(indexMax)
		}
		return t.encode(indexMax)
	}
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// indexOf makes an index of a file that comes with the kernel; without that it is empty.
func (d *depmod) indexOf(name string, parse func(text string, add addValue) error) func() ([]byte, error) {
	return func() ([]byte, error) {
		b, err := d.root.Read(d.dir+"/"+name, depMax)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		var bad error
		index, err := d.index(func(add addValue) { bad = parse(string(b), add) })()
		return index, errors.Join(bad, err)
	}
}

// lineMax bounds lines and records in bytes, as depmod does.
const lineMax = 4095

// parseBuiltin reads modules.builtin: a line a module that is part of the kernel.
func parseBuiltin(text string, add addValue) error {
	for line := range strings.Lines(text) {
		if len(line) > lineMax {
			return fmt.Errorf("a line of %d bytes", len(line))
		}
		if c := line[0] | 0x20; c < 'a' || c > 'z' || strings.HasSuffix(line, "/") {
			continue
		}
		line, _, _ = strings.Cut(line, "\x00")
		add(moduleName(line), 0, "")
	}
	return nil
}

// parseBuiltinAliases reads modules.builtin.modinfo: records MODULE.KEY=VALUE with a zero behind.
func parseBuiltinAliases(text string, add addValue) error {
	// field reads up to the letter end; it is "" where a zero or the file's end comes before
	field := func(end byte) string {
		i := strings.IndexFunc(text, func(r rune) bool { return r == 0 || r == rune(end) })
		if i < 0 {
			text = ""
			return ""
		}
		found := text[:i]
		if text[i] != end {
			found = ""
		}
		text = text[i+1:]
		return found
	}
	for text != "" {
		module := field('.')
		if module == "" {
			continue
		}
		if field('=') != "alias" {
			field(0)
			continue
		}
		value := field(0)
		if n := max(len(module), len(value)); n > lineMax {
			return fmt.Errorf("a name of %d bytes", n)
		}
		if alias, ok := normalAlias(value); ok && alias != "" {
			add(alias, 0, module)
		}
	}
	return nil
}

// normalAlias writes an alias as modprobe looks for it: with underscores for dashes, but for those
// in brackets. It is not ok where the brackets are not closed.
func normalAlias(s string) (string, bool) {
	b := []byte(s)
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '-':
			b[i] = '_'
		case ']':
			return "", false
		case '[':
			n := bytes.IndexByte(b[i:], ']')
			if n < 0 {
				return "", false
			}
			i += n
		}
	}
	return string(b), true
}
