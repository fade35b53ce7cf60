package apk

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"deltaup/mkimage/rootfs"
	"deltaup/mkimage/tree"
)

func otherKey(tb testing.TB) *rsa.PublicKey {
	tb.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		tb.Fatal(err)
	}
	return &key.PublicKey
}

// member makes a gzip member with an archive. The content of a file is its header's Linkname.
func member(tb testing.TB, files []tar.Header, whole bool) []byte {
	tb.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, h := range files {
		content := ""
		if h.Typeflag == tar.TypeReg {
			content, h.Linkname = h.Linkname, ""
			h.Size = int64(len(content))
		}
		if err := w.WriteHeader(&h); err != nil {
			tb.Fatal(err)
		}
		if _, err := io.WriteString(w, content); err != nil {
			tb.Fatal(err)
		}
	}
	end := w.Flush
	if whole {
		end = w.Close
	}
	if err := errors.Join(end(), z.Close()); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func info(name string) string {
	return "# made by a test\npkgname = " + name + "\npkgver = 1-r0\narch = x86_64\n"
}

// makeV2 makes a package of the second generation. control has more files of its control archive.
func makeV2(tb testing.TB, info string, files, control []tar.Header) []byte {
	tb.Helper()
	data := member(tb, files, true)
	if !strings.Contains(info, "datahash") {
		info += fmt.Sprintf("datahash = %x\n", sha256.Sum256(data))
	}
	control = append([]tar.Header{{Name: ".PKGINFO", Typeflag: tar.TypeReg, Linkname: info}}, control...)
	return append(member(tb, control, false), data...)
}

func TestHostileV2(t *testing.T) {
	a := []tar.Header{{Name: "a", Typeflag: tar.TypeReg, Linkname: "1", Mode: 0o644}}
	good := makeV2(t, info("ab"), a, nil)
	one := func(h tar.Header) []byte { return makeV2(t, info("ab"), []tar.Header{h}, nil) }
	sum := func(s string) map[string]string { return map[string]string{checksum: s} }
	for name, c := range map[string]struct {
		b    []byte
		want error
	}{
		"good":                     {good, nil},
		"no files":                 {makeV2(t, info("ab"), nil, nil), nil},
		"a checksum":               {one(tar.Header{Name: "a", Typeflag: tar.TypeReg, Linkname: "1", PAXRecords: sum("356a192b7913b04c54574d18c28d46e6395428ab")}), nil},
		"another checksum":         {one(tar.Header{Name: "a", Typeflag: tar.TypeReg, Linkname: "2", PAXRecords: sum("356a192b7913b04c54574d18c28d46e6395428ab")}), ErrMalformed},
		"nothing":                  {nil, ErrMalformed},
		"a program":                {[]byte("\x7fELF"), ErrMalformed},
		"control alone":            {good[:bytes.LastIndex(good, []byte{0x1f, 0x8b, 8})], ErrMalformed},
		"data alone":               {member(t, a, true), ErrMalformed},
		"something behind":         {append(bytes.Clone(good), 0), ErrMalformed},
		"a member behind":          {append(bytes.Clone(good), member(t, a, true)...), ErrMalformed},
		"another datahash":         {makeV2(t, info("ab")+"datahash = "+strings.Repeat("0", 64)+"\n", a, nil), ErrMalformed},
		"no datahash":              {makeV2(t, info("ab")+"datahash = \n", a, nil), ErrMalformed},
		"two names":                {makeV2(t, info("ab")+"pkgname = x\n", a, nil), ErrMalformed},
		"a name with a slash":      {makeV2(t, info("../ab"), a, nil), ErrMalformed},
		"a line of nothing":        {makeV2(t, info("ab")+"nothing\n", a, nil), ErrMalformed},
		"climbing":                 {one(tar.Header{Name: "a/../../b", Typeflag: tar.TypeReg}), rootfs.ErrMalformed},
		"behind a link":            {makeV2(t, info("ab"), []tar.Header{{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "../.."}, {Name: "l/a", Typeflag: tar.TypeReg}}, nil), rootfs.ErrMalformed},
		"a link to nothing":        {one(tar.Header{Name: "a", Typeflag: tar.TypeLink, Linkname: "b"}), rootfs.ErrMalformed},
		"a folder in control":      {makeV2(t, info("ab"), a, []tar.Header{{Name: ".d/", Typeflag: tar.TypeDir}}), ErrMalformed},
		"a path in control":        {makeV2(t, info("ab"), a, []tar.Header{{Name: ".d/e", Typeflag: tar.TypeReg}}), ErrMalformed},
		"a file in control":        {makeV2(t, info("ab"), a, []tar.Header{{Name: "e", Typeflag: tar.TypeReg}}), ErrMalformed},
		"a script twice":           {makeV2(t, info("ab"), a, []tar.Header{{Name: ".trigger", Typeflag: tar.TypeReg}, {Name: ".trigger", Typeflag: tar.TypeReg}}), ErrMalformed},
		"a script of a great size": {makeV2(t, info("ab"), a, []tar.Header{{Name: ".trigger", Typeflag: tar.TypeReg, Linkname: strings.Repeat("\x00", controlMax/2+1)}}), ErrMalformed},
	} {
		p, err := read(c.b, Options{})
		if !errors.Is(err, c.want) {
			t.Errorf("%s: got error %v", name, err)
		}
		if err == nil {
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	// apk leaves out names that begin with a dot, and other files of the control archive
	p, err := read(makeV2(t, info("ab"), append(a, tar.Header{Name: ".b", Typeflag: tar.TypeReg}), []tar.Header{{Name: ".pre-install", Typeflag: tar.TypeReg, Linkname: "x"}, {Name: ".other", Typeflag: tar.TypeReg}}), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if got := len(p.Entries()); got != 2 || len(p.Scripts) != 1 || string(p.Scripts[".pre-install"]) != "x" {
		t.Errorf("got %d entries, scripts %q", got, p.Scripts)
	}
}

// writer makes databases.
type writer struct{ b []byte }

func (w *writer) blob(s string) value {
	at := len(w.b)
	w.b = append(append(w.b, byte(len(s)), byte(len(s)>>8)), s...)
	return value(typeBlob16)<<28 | value(at)
}

func (w *writer) list(kind uint32, values ...value) value {
	for len(w.b)%4 > 0 {
		w.b = append(w.b, 0)
	}
	at := len(w.b)
	w.b = binary.LittleEndian.AppendUint32(w.b, uint32(len(values)+1))
	for _, v := range values {
		w.b = binary.LittleEndian.AppendUint32(w.b, uint32(v))
	}
	return value(kind<<28 | uint32(at))
}

func (w *writer) object(values ...value) value { return w.list(typeObject, values...) }
func (w *writer) array(values ...value) value  { return w.list(typeArray, values...) }
func number(n int) value                       { return value(typeInt<<28 | n) }

func block(b []byte, kind uint32, content []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, kind<<30|uint32(len(content)+4))
	b = append(b, content...)
	for len(b)%8 > 0 {
		b = append(b, 0)
	}
	return b
}

// parts are those of a small package of the third generation that tests change.
type parts struct {
	name, folder, file, user string
	mode, size               int
	hash                     string
	target                   string
	root                     value // not 0: instead of the right one
	places                   [2]uint32
	content                  string
	data                     int // how often the content comes
	long                     bool
	xattr                    string
	fileList                 value
}

// small makes a package of the third generation with one file.
func small(tb testing.TB, change func(*parts)) []byte {
	tb.Helper()
	sum := sha256.Sum256([]byte("content"))
	p := &parts{name: "ab", folder: "usr", file: "a", user: "root", mode: 0o644, size: 7, hash: string(sum[:]),
		places: [2]uint32{1, 1}, content: "content", data: 1}
	if change != nil {
		change(p)
	}
	w := &writer{make([]byte, databaseHeader)}
	pkg := w.object(w.blob(p.name), w.blob("1-r0"), 0, 0, w.blob("noarch"))
	xattrs := value(0)
	if p.xattr != "" {
		xattrs = w.array(w.blob(p.xattr))
	}
	acl := w.object(number(p.mode), w.blob(p.user), w.blob("root"), xattrs)
	target := value(0)
	if p.target != "" {
		target = w.blob(p.target)
	}
	files := p.fileList
	if files == 0 {
		files = w.array(w.object(w.blob(p.file), acl, number(p.size), number(5), w.blob(p.hash), target))
	}
	paths := w.array(w.object(w.blob(p.folder), w.object(number(0o755), w.blob("root"), w.blob("root")), files))
	root := w.object(pkg, paths)
	if p.root != 0 {
		root = p.root
	}
	binary.LittleEndian.PutUint32(w.b[4:], uint32(root))
	b := []byte("ADB.pckg")
	if p.long {
		b = binary.LittleEndian.AppendUint32(b, blockLong<<30|blockDatabase)
		b = binary.LittleEndian.AppendUint32(b, 0)
		b = binary.LittleEndian.AppendUint64(b, uint64(len(w.b)+16))
		b = append(b, w.b...)
		for len(b)%8 > 0 {
			b = append(b, 0)
		}
	} else {
		b = block(b, blockDatabase, w.b)
	}
	for range p.data {
		content := binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, p.places[0]), p.places[1])
		b = block(b, blockData, append(content, p.content...))
	}
	return b
}

func TestHostileV3(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*parts)
		want   error
	}{
		"good":                  {func(p *parts) {}, nil},
		"a long block":          {func(p *parts) { p.long = true }, nil},
		"no name":               {func(p *parts) { p.name = "" }, ErrMalformed},
		"a name of a path":      {func(p *parts) { p.name = "a/b" }, ErrMalformed},
		"a file up":             {func(p *parts) { p.file = ".." }, ErrMalformed},
		"a path as a file":      {func(p *parts) { p.file = "../a" }, ErrMalformed},
		"a folder up":           {func(p *parts) { p.folder = "usr/../../x" }, rootfs.ErrMalformed},
		"a folder of the host":  {func(p *parts) { p.folder = "/usr" }, ErrMalformed},
		"an unknown owner":      {func(p *parts) { p.user = "somebody" }, ErrOwner},
		"a mode of a folder":    {func(p *parts) { p.mode = 0o40755 }, ErrMalformed},
		"another size":          {func(p *parts) { p.size = 6 }, ErrMalformed},
		"no size":               {func(p *parts) { p.size = 0 }, ErrMalformed},
		"another hash":          {func(p *parts) { p.hash = strings.Repeat("x", 32) }, ErrMalformed},
		"no hash":               {func(p *parts) { p.hash = "" }, ErrMalformed},
		"another content":       {func(p *parts) { p.content = "cOntent" }, ErrMalformed},
		"of another file":       {func(p *parts) { p.places[1] = 2 }, ErrMalformed},
		"of another folder":     {func(p *parts) { p.places[0] = 0 }, ErrMalformed},
		"no content":            {func(p *parts) { p.data = 0 }, ErrMalformed},
		"two contents":          {func(p *parts) { p.data = 2 }, ErrMalformed},
		"a content of a link":   {func(p *parts) { p.target = "\x00\xa0x" }, ErrMalformed},
		"a link":                {func(p *parts) { p.target, p.data = "\x00\xa0x", 0 }, nil},
		"a hard link":           {func(p *parts) { p.target, p.data = "\x00\x80x", 0 }, rootfs.ErrMalformed},
		"a hard link up":        {func(p *parts) { p.target, p.data = "\x00\x80../x", 0 }, rootfs.ErrMalformed},
		"a device":              {func(p *parts) { p.target, p.data = "\x00\x20\x03\x01\x00\x00\x00\x00\x00\x00", 0 }, nil},
		"a short device":        {func(p *parts) { p.target, p.data = "\x00\x20\x03", 0 }, ErrMalformed},
		"a socket":              {func(p *parts) { p.target, p.data = "\x00\xc0", 0 }, ErrMalformed},
		"a target of one byte":  {func(p *parts) { p.target, p.data = "x", 0 }, ErrMalformed},
		"an attribute":          {func(p *parts) { p.xattr = "user.a\x00b" }, nil},
		"half an attribute":     {func(p *parts) { p.xattr = "user.a" }, ErrMalformed},
		"a root that leads out": {func(p *parts) { p.root = typeObject<<28 | 0xffffff }, ErrMalformed},
		"a root of a number":    {func(p *parts) { p.root = number(1) }, ErrMalformed},
		"a root of the header":  {func(p *parts) { p.root = typeObject << 28 }, ErrMalformed},
		"files of no list":      {func(p *parts) { p.fileList = typeBlob8<<28 | 8 }, ErrMalformed},
		"files that lead out":   {func(p *parts) { p.fileList = typeArray<<28 | 8 }, ErrMalformed},
	} {
		p, err := read(small(t, c.change), Options{})
		if !errors.Is(err, c.want) {
			t.Errorf("%s: got error %v", name, err)
		}
		if err == nil {
			if name == "a device" {
				if e := p.Entries()[2]; e.Type != tree.CharDevice || e.Major != 1 || e.Minor != 3 {
					t.Errorf("%s: got %+v", name, e)
				}
			}
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	good := small(t, nil)
	for name, b := range map[string][]byte{
		"an index":              append([]byte("ADB.indx"), good[8:]...),
		"another compression":   append([]byte("ADBc\x07\x00"), good...),
		"no compression at all": []byte("ADBx...."),
		"no database":           block([]byte("ADB.pckg"), blockData, nil),
		"a great database":      binary.LittleEndian.AppendUint32([]byte("ADB.pckg"), 0x3ffffff0),
		"a block of no size":    []byte("ADB.pckg\x00\x00\x00\x00"),
		"something behind":      append(bytes.Clone(good), 1, 2, 3),
	} {
		if p, err := read(b, Options{}); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: got %+v, %v", name, p, err)
		}
	}
}
