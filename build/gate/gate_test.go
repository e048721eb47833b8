package gate_test

import (
	"archive/tar"
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hardstand/hardstand/build/gate"
	"github.com/hardstand/hardstand/internal/deptest"
)

func TestBoundary(t *testing.T) {
	deptest.Check(t, deptest.Allow{
		"github.com/hardstand/hardstand/build/elf":     "what programs need",
		"github.com/hardstand/hardstand/build/license": "what copyright files say",
		"github.com/hardstand/hardstand/build/rootfs":  "trees",
	})
}

// item is an entry of a layer; body stands for a regular file's contents.
type item struct {
	tar.Header
	body string
}

func file(name string, mode int64, body string) item {
	return item{tar.Header{Name: name, Mode: mode, Typeflag: tar.TypeReg}, body}
}

func dir(name string, mode int64) item {
	return item{tar.Header{Name: name + "/", Mode: mode, Typeflag: tar.TypeDir}, ""}
}

func link(name, to string) item {
	return item{tar.Header{Name: name, Linkname: to, Typeflag: tar.TypeSymlink}, ""}
}

func hard(name, to string) item {
	return item{tar.Header{Name: name, Linkname: to, Typeflag: tar.TypeLink}, ""}
}

func capable(name string) item {
	return item{tar.Header{Name: name, Mode: 0o755, Typeflag: tar.TypeReg, PAXRecords: map[string]string{"SCHILY.xattr.security.capability": "\x01"}}, "c"}
}

// program is an ELF file: a header of 64 bytes for x86-64 and nothing else.
func program(t testing.TB) string {
	t.Helper()
	b := make([]byte, 64)
	copy(b, "\x7fELF\x02\x01\x01")
	b[16], b[18], b[20], b[52] = 3, 62, 1, 64 // ET_DYN, EM_X86_64, version, size of this header
	b[54], b[58] = 56, 64                     // sizes of entries of the tables that it has not
	return string(b)
}

func layer(t testing.TB, items ...item) io.Reader {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, i := range items {
		i.Size = int64(len(i.body))
		if err := w.WriteHeader(&i.Header); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, i.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &b
}

// foreign is an image that hardstand did not build, in two layers.
func foreign(t testing.TB) []io.Reader {
	t.Helper()
	return []io.Reader{
		layer(t,
			dir("usr", 0o755), dir("usr/bin", 0o755), link("bin", "usr/bin"), dir("lib", 0o755), file("lib/x.so", 0o644, "no ELF"), dir("tmp", 0o1777), dir("open", 0o777),
			file("usr/bin/su", 0o4755, "s"), file("usr/bin/dash", 0o755, "d"), link("usr/bin/sh", "dash"), link("usr/bin/bash", "gone"), hard("usr/bin/busybox", "usr/bin/dash"),
			file("usr/bin/wget", 0o755, "w"), file("etc/open", 0o666, "o"), file("usr/share/zsh", 0o755, "no directory of programs"), file("usr/bin/fish", 0o644, "not executable"),
			file("gone/bin/sh", 0o755, "deleted above"), file("etc/kept/a", 0o666, "a"), file("etc/kept/b", 0o644, "b"),
			capable("usr/bin/ping"), hard("usr/bin/ping6", "usr/bin/ping"), capable("usr/bin/replaced"),
			file("var/lib/dpkg/status", 0o644, "Package: dash\nStatus: install ok installed\nVersion: 1\n\nPackage: old\nStatus: deinstall ok config-files\nVersion: 2\n"),
			file("usr/share/doc/dash/copyright", 0o644, "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\nLicense: BSD-3-clause or GPL-2+\n"),
		),
		layer(t, file(".wh.gone", 0, ""), dir("etc/kept", 0o755), file("etc/kept/.wh..wh..opq", 0, ""), file("etc/kept/c", 0o644, "c"),
			file("usr/bin/replaced", 0o755, "without"), file("usr/lib/tool/busybox", 0o755, program(t)),
			file("usr/bin/wget", 0o755, "again"), file("var/lib/dpkg/status.d/tool", 0o644, "Package: tool\nVersion: 3\n")),
	}
}

func paths(list []gate.Finding) string {
	var parts []string
	for _, f := range list {
		parts = append(parts, f.Path+f.Package)
	}
	return strings.Join(parts, " ")
}

func TestForeignImage(t *testing.T) {
	img, err := gate.Read(foreign(t), "x86_64-linux-gnu", "")
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		got  []gate.Finding
		want string
	}{
		"set-id":         {gate.SetID(img), "usr/bin/ping usr/bin/ping6 usr/bin/su"},
		"world-writable": {gate.WorldWritable(img), "etc/open open"},
		"merged-usr":     {gate.MergedUsr(img), "lib lib/x.so"},
		"shell":          {gate.Shell(img), "usr/bin/busybox usr/bin/dash usr/bin/sh usr/lib/tool/busybox"},
		"denied":         {gate.Denied(img, []string{"dash", "old"}), "dash"},
		"license-deny":   {gate.Licenses(img, nil, []string{"GPL-*"}), "dash"},
		"license-allow":  {gate.Licenses(img, []string{"BSD-*", "GPL-*"}, nil), "tool"},
		"license-all":    {gate.Licenses(img, []string{"*"}, nil), ""},
		"root":           {gate.Root(img), ""},
		"library":        {gate.Libraries(img), ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := paths(tc.got); got != tc.want {
				t.Errorf("found %q, want %q", got, tc.want)
			}
			for _, f := range tc.got {
				if f.Message == "" || f.Gate == "" {
					t.Errorf("a finding without words: %+v", f)
				}
			}
		})
	}
	if len(gate.Root(img)) != 1 {
		t.Error("an image without a user runs as root")
	}
	for _, user := range []string{"65532", "nonroot:nonroot", "1000:0"} {
		if img.User = user; len(gate.Root(img)) != 0 {
			t.Errorf("user %s counts as root", user)
		}
	}
	var left []string
	for _, e := range img.Entries {
		if strings.HasPrefix(e.Path, "etc/kept/") || strings.HasPrefix(e.Path, "gone") {
			left = append(left, e.Path)
		}
	}
	if diff := cmp.Diff([]string{"etc/kept/c"}, left); diff != "" {
		t.Errorf("whiteouts: %s", diff)
	}
}

func TestReadRefuses(t *testing.T) {
	for name, in := range map[string]io.Reader{
		"leaves_the_root": layer(t, file("../etc/passwd", 0o644, "x")),
		"no_tar":          strings.NewReader(strings.Repeat("no tar ", 200)),
	} {
		if _, err := gate.Read([]io.Reader{in}, "", ""); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, l := range foreign(f) {
		data, err := io.ReadAll(l)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		img, err := gate.Read([]io.Reader{bytes.NewReader(data), bytes.NewReader(data)}, "x86_64-linux-gnu", "0")
		if err != nil {
			return
		}
		for _, list := range [][]gate.Finding{gate.SetID(img), gate.WorldWritable(img), gate.MergedUsr(img), gate.Shell(img), gate.Libraries(img),
			gate.Licenses(img, []string{"Expat"}, nil), gate.Denied(img, []string{"dash"}), gate.Root(img)} {
			for _, found := range list {
				if found.Message == "" {
					t.Error("a finding without words")
				}
			}
		}
	})
}
