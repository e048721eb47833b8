package elf_test

import (
	"os"
	"path"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hardstand/hardstand/build/elf"
)

// image is a tree of ELF files and symlinks, in the words of the loader.
func image(files map[string]*elf.Info, links map[string]string) *elf.Image {
	var resolve func(string, int) (string, bool)
	resolve = func(p string, hops int) (string, bool) {
		p = strings.TrimPrefix(path.Clean("/"+p), "/")
		for from, to := range links {
			if rest, ok := strings.CutPrefix(p, from); ok && (rest == "" || rest[0] == '/') && hops < 10 {
				return resolve(to+rest, hops+1)
			}
		}
		_, ok := files[p]
		return p, ok
	}
	return &elf.Image{Files: files, Resolve: func(p string) (string, bool) { return resolve(p, 0) }, MultiArch: "x86_64-linux-gnu"}
}

func TestCheck(t *testing.T) {
	lib := func(needed ...string) *elf.Info { return &elf.Info{Machine: "EM_X86_64", Needed: needed} }
	merged := map[string]string{"lib": "usr/lib", "lib64": "usr/lib64"}
	const dir = "usr/lib/x86_64-linux-gnu/"
	for name, tc := range map[string]struct {
		files map[string]*elf.Info
		links map[string]string
		want  []string
	}{
		"complete":     {map[string]*elf.Info{dir + "liba.so.1": lib("libc.so.6"), dir + "libc.so.6": lib()}, merged, nil},
		"missing":      {map[string]*elf.Info{dir + "liba.so.1": lib("libgcc_s.so.1")}, merged, []string{"/" + dir + "liba.so.1 needs libgcc_s.so.1, which is not in the image: add the package libgcc-s1"}},
		"by a symlink": {map[string]*elf.Info{dir + "liba.so.1": lib("libz.so.1"), dir + "libz.so.1.3": lib()}, map[string]string{dir + "libz.so.1": dir + "libz.so.1.3"}, nil},
		"by origin": {map[string]*elf.Info{"opt/x/bin/p": {Machine: "EM_X86_64", Needed: []string{"libx.so"}, RunPath: []string{"$ORIGIN/../lib"}},
			"opt/x/lib/libx.so": lib()}, nil, nil},
		"other machine": {map[string]*elf.Info{dir + "liba.so.1": lib("libc.so.6"), dir + "libc.so.6": {Machine: "EM_AARCH64"}}, nil,
			[]string{"/" + dir + "liba.so.1 needs libc.so.6, which is not in the image: add the package libc6"}},
		"no loader": {map[string]*elf.Info{"usr/bin/p": {Machine: "EM_X86_64", Interp: "/lib64/ld-linux-x86-64.so.2"}}, merged,
			[]string{"/usr/bin/p needs /lib64/ld-linux-x86-64.so.2, which is not in the image: add the package libc6"}},
		"loader by alias": {map[string]*elf.Info{"usr/bin/p": {Machine: "EM_X86_64", Interp: "/lib64/ld.so.2"}, "usr/lib64/ld.so.2": lib()}, merged, nil},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			var got []string
			for _, m := range image(tc.files, tc.links).Check() {
				got = append(got, m.String())
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPackage(t *testing.T) {
	for library, want := range map[string]string{
		"libgcc_s.so.1": "libgcc-s1", "libstdc++.so.6": "libstdc++6", "libz.so.1": "zlib1g", "libpython3.13.so.1.0": "libpython3.13", "libfoo.so": "libfoo",
		"libcrypto.so.3": "libssl3", "libm.so.6": "libc6", "/lib64/ld-linux-x86-64.so.2": "libc6", "/lib/ld64.so.1": "libc6", "libicuuc.so.76": "libicu76",
		"libpng16.so.16": "libpng16-16", ".so": "", "script": "that ships script",
	} {
		if got := elf.Package(library); got != want {
			t.Errorf("Package(%q) = %q, want %q", library, got, want)
		}
	}
}

func TestReadsARealProgram(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	info, err := elf.Read(data)
	if err != nil || info == nil || !strings.HasPrefix(info.Machine, "EM_") {
		t.Errorf("Read = %+v, %v", info, err)
	}
	if info, err := elf.Read([]byte("#!/bin/sh")); info != nil || err != nil {
		t.Errorf("a script reads as %+v, %v", info, err)
	}
	if _, err := elf.Read(data[:40]); err == nil {
		t.Error("a truncated program reads without an error")
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(elf.Magic + "\x02\x01\x01"))
	f.Fuzz(func(_ *testing.T, data []byte) { _, _ = elf.Read(data) })
}
