package ldcache

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strconv"
	"strings"

	"deltaup/mkimage/internal/lookup"
)

// glibc says how the ldconfig of a tree behaves.
type glibc struct {
	generator string      // what it writes into the cache
	minor     int         // of version 2.minor
	machine   elf.Machine // elf.EM_X86_64 or elf.EM_AARCH64
}

// programMax bounds ldconfig and libc.so.6, in bytes. They have 2 MB.
const programMax = 64 << 20

// triplets name the folders of a machine's libraries in Debian.
var triplets = map[elf.Machine]string{
	elf.EM_X86_64:  "x86_64-linux-gnu",
	elf.EM_AARCH64: "aarch64-linux-gnu",
}

// banner is the text with name and version that is in ldconfig, and in libc.so.6 with another
// beginning. Its parts are package and version, "stable" or "development", and the version.
var banner = regexp.MustCompile(
	`(?:ldconfig|GNU C Library) (\((?:Debian|Ubuntu) E?GLIBC [!-'*-~]{1,64}\)) (stable|development) ` +
		`release version (2\.([0-9]{1,3})(?:\.9000)?)`)

// findGlibc finds the ldconfig of the tree, or where that is missing its libc.so.6, which belongs
// to the same version.
func findGlibc(root *lookup.View) (glibc, error) {
	names := []string{"sbin/ldconfig.real", "usr/sbin/ldconfig.real", "sbin/ldconfig", "usr/sbin/ldconfig"}
	for _, t := range []elf.Machine{elf.EM_X86_64, elf.EM_AARCH64} {
		names = append(names, "lib/"+triplets[t]+"/libc.so.6", "usr/lib/"+triplets[t]+"/libc.so.6")
	}
	for _, name := range names {
		b, err := root.Read(name, programMax)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return glibc{}, err
		}
		if g, ok := parseGlibc(b); ok {
			return g, nil
		}
	}
	return glibc{}, fmt.Errorf("%w: neither ldconfig nor libc.so.6 of Debian's or Ubuntu's glibc "+
		"for amd64 or arm64 is there", ErrUnknown)
}

// parseGlibc reads what ldconfig or libc.so.6 says about itself.
func parseGlibc(b []byte) (glibc, bool) {
	if len(b) < headerSize || !bytes.HasPrefix(b, []byte(elf.ELFMAG)) {
		return glibc{}, false
	}
	g := glibc{machine: elf.Machine(binary.LittleEndian.Uint16(b[18:]))}
	m := banner.FindSubmatch(b)
	if m == nil || triplets[g.machine] == "" {
		return glibc{}, false
	}
	g.minor, _ = strconv.Atoi(string(m[4])) // only digits
	g.generator = fmt.Sprintf("ldconfig %s %s release version %s", m[1], m[2], m[3])
	return g, g.minor >= 33 // before there was another format
}

// old tells whether the glibc still tells libc5's libraries apart and has folders for processors
// other than those in glibc-hwcaps. 2.37 ended both.
func (g glibc) old() bool { return g.minor < 37 }

// skipsTemporary tells whether ldconfig passes over files that dpkg and rpm are writing.
func (g glibc) skipsTemporary() bool { return g.minor >= 39 }

// Names of folders for processors, with their bits in the cache, of the old ldconfig.
var (
	amd64Processors = map[string]int{"tls": 63, "sse2": 0, "x86_64": 1, "avx512_1": 2,
		"i586": 48, "i686": 49, "haswell": 50, "xeon_phi": 51}
	arm64Processors = map[string]int{"tls": 63, "fp": 0, "asimd": 1, "evtstrm": 2, "aes": 3,
		"pmull": 4, "sha1": 5, "sha2": 6, "crc32": 7, "atomics": 8, "fphp": 9, "asimdhp": 10,
		"cpuid": 11, "asimdrdm": 12, "jscvt": 13, "fcma": 14, "lrcpc": 15, "dcpop": 16, "sha3": 17,
		"sm3": 18, "sm4": 19, "asimddp": 20, "sha512": 21, "sve": 22, "asimdfhm": 23, "dit": 24,
		"uscat": 25, "ilrcpc": 26, "flagm": 27, "ssbs": 28, "sb": 29, "paca": 30, "pacg": 31}
)

// searches tells whether the old ldconfig also searches subfolders with a name.
func (g glibc) searches(name string) bool {
	if g.machine == elf.EM_AARCH64 {
		return g.old() && (name == "tls" || name == "atomics")
	}
	_, ok := amd64Processors[name]
	return g.old() && ok
}

// hwcap is what the cache of the old ldconfig says of the processors that a folder is for, by the
// last names in its path.
func (g glibc) hwcap(folder string) uint64 {
	if !g.old() {
		return 0
	}
	bits := amd64Processors
	if g.machine == elf.EM_AARCH64 {
		bits = arm64Processors
	}
	sum := uint64(0)
	for {
		i := strings.LastIndexByte(folder, '/')
		if i < 0 {
			return sum
		}
		bit, ok := bits[folder[i+1:]]
		if !ok {
			return sum
		}
		sum += 1 << bit // added: a name that is there twice counts so
		folder = folder[:i]
	}
}

// signedLetters tells whether letters behind ASCII come before it.
func (g glibc) signedLetters() bool { return g.machine == elf.EM_X86_64 }
