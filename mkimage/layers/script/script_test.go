package script_test

import (
	"slices"
	"strings"
	"testing"

	"deltaup/mkimage/layers/script"
)

// toy is a system with some files, which covers some commands.
type toy struct{}

func (toy) Test(op, path string) (holds, known bool) {
	switch path {
	case "/etc/there":
		return op == "-e" || op == "-f", true
	case "/etc/missing", "/run/systemd/system":
		return false, true
	}
	return false, false
}

func (toy) Covers(words []string, all bool) bool { return all && words[0] == "covered" }

func TestFollow(t *testing.T) {
	for name, c := range map[string]struct {
		script string
		rest   []string
	}{
		"nothing":              {"#!/bin/sh\nset -e\nexit 0\n", nil},
		"one command":          {"make-it /x", []string{"make-it /x"}},
		"behind the end":       {"exit 0\nmake-it", nil},
		"configure":            {`if [ "$1" = configure ]; then make-it; fi`, []string{"make-it"}},
		"not configure":        {`if [ "$1" = remove ]; then make-it; fi`, nil},
		"unlike configure":     {`if [ "$1" != configure ]; then exit 0; fi; make-it`, []string{"make-it"}},
		"upgrade":              {`if [ "$1" = configure ] && [ -n "$2" ]; then make-it; fi`, nil},
		"and in a test":        {`if [ "$1" = configure -a -n "$2" ]; then make-it; fi`, nil},
		"unknown in a test":    {`if [ "$1" = remove -a "$(id -u)" = 0 ]; then make-it; fi`, nil},
		"x before":             {`if [ "x$1" = xconfigure ]; then make-it; fi`, []string{"make-it"}},
		"first installation":   {`[ -z "$2" ] && make-it`, []string{"make-it"}},
		"older version":        {`if dpkg --compare-versions "$2" lt-nl 2; then make-it; fi`, nil},
		"older version or new": {`if dpkg --compare-versions "$2" lt 2; then make-it; fi`, []string{"make-it"}},
		"case":                 {"case \"$1\" in\nconfigure|triggered)\nmake-it\n;;\nremove)\nother\n;;\n*)\nexit 1\n;;\nesac", []string{"make-it"}},
		"file there":           {`[ -e /etc/there ] || make-it`, nil},
		"file missing":         {`test -f /etc/missing || make-it`, []string{"make-it"}},
		"file unknown":         {`[ -e /etc/unknown ] || make-it`, []string{"make-it"}},
		"root":                 {`[ -e "$DPKG_ROOT/etc/there" ] || make-it`, nil},
		"no systemd":           {`if [ -d /run/systemd/system ]; then make-it; fi`, nil},
		"function":             {"f() { make-it \"$1\"; }\nf /a\nf /b", []string{"make-it /a", "make-it /b"}},
		"function not called":  {"f() { make-it \"$1\"; }", nil},
		"function returns":     {"f() { return 0; make-it; }\nf\nother", []string{"other"}},
		"function for ever":    {"f() { f; }\nf", []string{"{ f; }"}},
		"variables":            {"D=/var/x\nmkdir \"$D/y\"", []string{"mkdir /var/x/y"}},
		"variable in a branch": {"D=/a\nif unknown-test; then D=/b; fi\nmake-it $D", []string{"unknown-test", "make-it $D"}},
		"default":              {`make-it "${DPKG_ROOT:-/}x" ${DPKG_ROOT:+no}`, []string{"make-it /x "}},
		"substitution":         {"x=$(readlink /etc/x)\nmake-it $x", []string{"make-it $x"}},
		"loop":                 {"for f in a b; do make-it $f; done", []string{"make-it a", "make-it b"}},
		"loop of unknown":      {"for f in $(ls); do make-it $f; done", []string{"make-it $f"}},
		"while":                {"while read l; do make-it; done < /etc/there", []string{"make-it"}},
		"in a substitution":    {"x=$(make-it a)\ncat $(make-it b) | grep \"$(make-it c)\"", []string{"make-it a", "make-it b", "make-it c"}},
		"in words":             {"for f in $(make-it a); do :; done\ncase $(make-it b) in x) ;; esac", []string{"make-it a", "make-it b"}},
		"covered in part":      {"covered $unknown", []string{"covered $unknown"}},
		"if into a file":       {"if [ -n \"$1\" ]; then echo x; fi > /etc/new", []string{"if [ -n \"$1\" ]; then echo x; fi >/etc/new"}},
		"pipe":                 {"grep x /etc/passwd | cut -f 1", nil},
		"into a file":          {"echo x > /etc/new", []string{"echo x >/etc/new"}},
		"into a file there":    {"echo x > /etc/there", nil},
		"into nothing":         {"echo x >/dev/null 2>&1", nil},
		"covered":              {"covered x\ncovered y || true", nil},
		"only covered words":   {`"$@"`, []string{`"$@"`}},
		"sed":                  {"sed s/a/b/ /etc/x\nsed -i s/a/b/ /etc/x", []string{"sed -i s/a/b/ /etc/x"}},
		"debconf":              {". /usr/share/debconf/confmodule\ndb_get x/y\n. /etc/default/x", []string{". /etc/default/x"}},
		"negation":             {`if ! [ -e /etc/there ]; then make-it; fi`, nil},
		"perl":                 {"#!/usr/bin/perl\nunlink 'x';", []string{"#!/usr/bin/perl"}},
		"once":                 {"make-it\nmake-it", []string{"make-it"}},
	} {
		e := script.Follow(c.script, "configure", toy{})
		if !slices.Equal(e.Rest, c.rest) {
			t.Errorf("%s: rest %q, want %q", name, e.Rest, c.rest)
		}
	}
}

func TestCovered(t *testing.T) {
	e := script.Follow("covered --install /a b \\\n /c 10\nf() { covered $1; }\nf x\ncovered a $unknown b", "configure", toy{})
	var got []string
	for _, w := range e.Covered {
		got = append(got, strings.Join(w, " "))
	}
	if want := []string{"covered --install /a b /c 10", "covered x"}; !slices.Equal(got, want) {
		t.Errorf("covered %q, want %q", got, want)
	}
}

// TestNotFollowed demands that a script that is not followed has a line that says so.
func TestNotFollowed(t *testing.T) {
	for name, text := range map[string]string{
		"syntax": "if then",
		"long":   strings.Repeat("#", 64<<10+1),
		"steps":  "f() { for i in 1 2 3 4 5 6 7 8 9 10; do g; done; }; g() { for i in 1 2 3 4 5 6 7 8 9 10; do h; done; }; h() { for i in 1 2 3 4 5 6 7 8 9 10; do i; done; }; i() { for i in 1 2 3 4 5 6 7 8 9 10; do :; :; :; :; :; :; :; :; :; :; done; }; f; f",
	} {
		if e := script.Follow(text, "configure", toy{}); len(e.Rest) != 1 || !strings.HasPrefix(e.Rest[0], "# it ") {
			t.Errorf("%s: %q", name, e.Rest)
		}
	}
}

func FuzzFollow(f *testing.F) {
	f.Add("case \"$1\" in\nconfigure) f() { a $1; }; f x || b > /y;;\nesac")
	f.Add("for i in a b; do [ -e $i ] && x=$(y); done | z")
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 4<<10 {
			return
		}
		a, b := script.Follow(text, "configure", toy{}), script.Follow(text, "configure", toy{})
		if !slices.Equal(a.Rest, b.Rest) {
			t.Errorf("not the same twice: %q, %q", a.Rest, b.Rest)
		}
	})
}

// TestDeep follows the longest scripts that nest most, which must not end the program.
func TestDeep(t *testing.T) {
	for _, open := range []string{"((", "$[", "$((", "$(", "((-", "((a[", "${a[", "{ ", "f() "} {
		text := strings.Repeat(open, 64<<10/len(open))
		if e := script.Follow(text, "configure", toy{}); len(e.Rest) != 1 || !strings.Contains(e.Rest[0], "none of sh") {
			t.Errorf("%q: %q", open, e.Rest)
		}
	}
}
