package xzutils

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// corpus is a set of contents that lead to every kind of symbol, chunk and end of input.
func corpus() map[string][]byte {
	rnd := rand.NewChaCha8([32]byte{9})
	random := make([]byte, 140_000)
	rnd.Read(random)
	var text []byte
	for i := range 6_000 {
		text = fmt.Appendf(text, "%d bottles of %x\n", i%977, random[i%300:i%300+i%9])
	}
	code := make([]byte, 0, 120_000) // calls, as the x86 filter sees them, near each other and far
	for i := 0; len(code) < 120_000; i++ {
		b := random[i%100_000:]
		code = append(code, b[:b[0]%11]...)
		code = append(code, 0xe8+b[1]&1, b[2], b[3], b[4]&1, -(b[5] & 1))
	}
	rare := bytes.Clone(random) // chunks of which a few symbols are matches
	for i := 0; i+500 < len(rare); i += 450 {
		copy(rare[i:i+7], rare[i/2:])
	}
	far := slices.Concat(text, random, text, make([]byte, 30_000), random)
	return map[string][]byte{
		"empty": nil, "one": {1}, "two": {1, 1}, "short": []byte("hello, hello, hello"),
		"zeros": make([]byte, 70_000), "random": random, "text": text, "code": code,
		"rare": rare, "far": far, "ones": slices.Repeat([]byte{1}, 273*3+1),
	}
}

// setting is a way to call xz and the parameters that stand for it.
type setting struct {
	args   string
	params Params
}

func preset(i int, log uint8) options {
	o := presets[i]
	o.dict = 1 << log
	return o
}

// settings are all presets, and every parameter beside them.
func settings() []setting {
	const crc64, crc32 = checkCRC64, checkCRC32
	small := preset(0, 16)
	with := func(change func(o *options)) Params {
		o := small
		change(&o)
		return Params{check: crc64, lzma: o}
	}
	return []setting{
		{"-6", Params{check: crc64, lzma: preset(0, 23)}},
		{"-T2 --check=crc32 --lzma2=dict=1MiB",
			Params{check: crc32, lzma: preset(0, 20), sized: true, blockSize: 3 << 20}},
		{"-1", Params{check: crc64, lzma: preset(7, 20)}},
		{"-9e", Params{check: crc64, lzma: preset(1, 26)}},
		{"-0", Params{check: crc64, lzma: preset(8, 18)}},
		{"-2 --check=none", Params{check: checkNone, lzma: preset(6, 21)}},
		{"-3 --check=sha256", Params{check: checkSHA256, lzma: preset(5, 22)}},
		{"-4", Params{check: crc64, lzma: preset(3, 22)}},
		{"-5", Params{check: crc64, lzma: preset(2, 23)}},
		{"-5e", Params{check: crc64, lzma: preset(4, 23)}},
		{"-7", Params{check: crc64, lzma: preset(0, 24)}},
		{"-T2 --block-size=65536 --lzma2=dict=64KiB",
			Params{check: crc64, lzma: small, sized: true, blockSize: 1 << 16}},
		{"--block-size=60000 --lzma2=dict=64KiB",
			Params{check: crc64, lzma: small, blockSize: 60000}},
		{"--x86 --check=crc32 --lzma2=dict=64KiB",
			Params{check: crc32, lzma: small, x86: true}},
		{"--x86 --lzma2=dict=64KiB -T2 --block-size=50000",
			Params{check: crc64, lzma: small, x86: true, sized: true, blockSize: 50000}},
		{"--lzma2=dict=4KiB", with(func(o *options) { o.dict = 4 << 10 })},
		{"--lzma2=dict=96KiB,lc=0,lp=2,pb=0", with(func(o *options) {
			o.dict, o.lc, o.lp, o.pb = 96<<10, 0, 2, 0
		})},
		{"--lzma2=dict=64KiB,lc=4,pb=4,mf=bt2", with(func(o *options) {
			o.lc, o.pb, o.finder = 4, 4, trees2
		})},
		{"--lzma2=dict=64KiB,mf=bt3,nice=20,depth=7", with(func(o *options) {
			o.finder, o.nice, o.depth = trees3, 20, 7
		})},
		{"--lzma2=dict=64KiB,mf=hc4,mode=normal,nice=4", with(func(o *options) {
			o.finder, o.nice, o.depth = chains4, 4, 5
		})},
		{"--lzma2=dict=64KiB,mf=bt4,mode=fast,nice=273", with(func(o *options) {
			o.normal, o.nice, o.depth = false, 273, 16+273/2
		})},
	}
}

// xzOf gives what the real xz makes of plain.
func xzOf(t testing.TB, plain []byte, args string) []byte {
	cmd := exec.Command("xz", append(strings.Fields(args), "-c")...)
	if !strings.Contains(args, "-T") {
		cmd.Args = append(cmd.Args, "-T1")
	}
	cmd.Stdin = bytes.NewReader(plain)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(args, err)
	}
	return out
}

func encode(t testing.TB, plain []byte, p Params) []byte {
	var b bytes.Buffer
	if err := Encode(&b, plain, p); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

var testLimits = Limits{Content: 1 << 24, Memory: 1 << 30}
