package xzutils

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"math/rand/v2"
)

func TestQuick(t *testing.T) {
	exe, _ := os.ReadFile("/bin/ls")
	bash, _ := os.ReadFile("/bin/bash")
	rnd := rand.NewChaCha8([32]byte{7})
	random := make([]byte, 300_000)
	rnd.Read(random)
	text, _ := exec.Command("sh", "-c", "cat /usr/share/common-licenses/*").Output()
	data := map[string][]byte{"ls": exe, "bash": bash, "random": random, "zeros": make([]byte, 3_000_000), "text": text, "one": {1}, "two": {1, 1}, "empty": nil, "abc": []byte("abcabcabc")}
	mixed := append(append(bytes.Clone(random), text...), random...)
	data["mixed"] = mixed
	for name, b := range data {
		for i, o := range []struct{ args string; i int; d uint32 }{{"-0", 8, 18}, {"-1", 7, 20}, {"-2", 6, 21}, {"-3", 5, 22}, {"-4", 3, 22}, {"-5", 2, 23}, {"-6", 0, 23}, {"-9e", 1, 26}, {"-5e", 4, 23}} {
			cmd := exec.Command("sh", "-c", "xz -T1 -c "+o.args)
			cmd.Stdin = bytes.NewReader(b)
			want, err := cmd.Output()
			if err != nil { t.Fatal(err) }
			_ = i
			p := Params{check: checkCRC64, lzma: withDict(presets[o.i], 1<<o.d)}
			var got bytes.Buffer
			if err := Encode(&got, b, p); err != nil { t.Fatal(err) }
			if !bytes.Equal(got.Bytes(), want) {
				n := 0
				for n < len(want) && n < got.Len() && want[n] == got.Bytes()[n] { n++ }
				t.Error(fmt.Sprintf("%s %s: differs at %d of %d / %d", name, o.args, n, got.Len(), len(want)))
			}
		}
	}
}
