package glib

import (
	"fmt"
	"slices"
	"testing"
)

// TestTable finds each key with its last value, once.
func TestTable(t *testing.T) {
	var table HashTable[int]
	if _, ok := table.Get("none"); ok {
		t.Error("an empty table has a key")
	}
	const n = 5000
	for i := range 2 * n {
		table.Set(fmt.Sprint(i%n), i)
	}
	seen := map[string]bool{}
	for key, value := range table.All() {
		if got, ok := table.Get(key); !ok || got != value || fmt.Sprint(value-n) != key {
			t.Fatalf("%s has %d, and %d, %v", key, value, got, ok)
		}
		seen[key] = true
	}
	if len(seen) != n || table.Len() != n {
		t.Errorf("%d keys, Len says %d", len(seen), table.Len())
	}
}

// TestOrder has the order in which GLib 2.74 and 2.84 hold these keys.
func TestOrder(t *testing.T) {
	var table HashTable[bool]
	for i := range 20 {
		table.Set(fmt.Sprintf("text/x-%d", i), true)
	}
	var got []string
	for key := range table.All() {
		got = append(got, key)
	}
	var want []string
	for _, i := range []int{2, 5, 8, 11, 14, 17, 0, 3, 6, 9, 12, 15, 18, 1, 4, 7, 10, 13, 16, 19} {
		want = append(want, fmt.Sprintf("text/x-%d", i))
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if h := Hash("ä"); h != 5857804 {
		t.Errorf("hash %d", h)
	}
}

// TestKeyFile reads what GLib's g_key_file_load_from_data does, and refuses what it refuses.
func TestKeyFile(t *testing.T) {
	groups, ok := ParseKeyFile("# x\n\n [a]\nk = 1 \r\nl[de]=2\n[b] \nk=3\n[a]\nk=4\nEncoding=utf-8\n")
	if !ok || len(groups) != 2 || groups[0].Name != "a" || groups[0].Values["k"] != "4" ||
		groups[1].Values["k"] != "3" || !slices.Equal(groups[0].Keys, []string{"k", "l[de]", "Encoding"}) {
		t.Errorf("%+v, %v", groups, ok)
	}
	for _, text := range []string{"k=1", "[a]\nx", "[a]\n=1", "[]", "[a[]", "[a]x\n", "[a]\nb]=1", "[a]\nb [c]=1", "[a]\nEncoding=x"} {
		if _, ok := ParseKeyFile(text); ok {
			t.Errorf("%q is a key file", text)
		}
	}
	if parts, ok := List(`a;b\;c;;d\s\\`); !ok || !slices.Equal(parts, []string{"a", "b;c", "", `d \`}) {
		t.Errorf("%q, %v", parts, ok)
	}
	for _, value := range []string{`a\`, `a\x`, "\xff"} {
		if parts, ok := List(value); ok {
			t.Errorf("%q has %q", value, parts)
		}
	}
}
