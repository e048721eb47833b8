package inventory

import (
	"bytes"
	"strings"
	"testing"
)

func FuzzStatus(f *testing.F) {
	f.Add([]byte("Package: libc6\nVersion: 2.41-12\nArchitecture: amd64\nSource: glibc (2.41-11)\nStatus: install ok installed\nDescription: x\n y\n\nPackage: b\nVersion: 1\n"))
	f.Add([]byte("Version: 1\n"))
	f.Add([]byte(" \n\t\nPackage:\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := parseStatus(data)
		if err != nil {
			return
		}
		for _, s := range list {
			p := s.deb(Release{ID: "debian", Version: "13"})
			if p.Binary == "" || p.BinaryVersion == "" {
				t.Errorf("accepted a package without a name or a version: %+v", p)
			}
		}
	})
}

func FuzzAPK(f *testing.F) {
	f.Add([]byte("P:musl\nV:1.2.5-r0\nA:x86_64\no:musl\n\n"))
	f.Add([]byte("P:musl\n\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := parseAPK(data, Release{ID: "alpine", Version: "3.20"})
		for _, p := range list {
			if err == nil && (p.Name == "" || p.Version == "") {
				t.Errorf("accepted %+v", p)
			}
		}
	})
}

func FuzzProgram(f *testing.F) {
	f.Add([]byte("\x7fELF"))
	f.Add(append([]byte("\x7fELF\x02\x01\x01"), bytes.Repeat([]byte{0}, 200)...))
	f.Add([]byte("MZ"))
	f.Fuzz(func(_ *testing.T, data []byte) {
		info, ok, err := program(bytes.NewReader(data))
		if ok && err == nil {
			(&Inventory{}).addProgram(info, bytes.NewReader(data), "", "x")
		}
	})
}

func FuzzSBOM(f *testing.F) {
	f.Add([]byte(`{"spdxVersion":"SPDX-2.3","packages":[{"name":"a","externalRefs":[{"referenceType":"purl","referenceLocator":"pkg:deb/debian/a@1?distro=debian-13"}]}]}`))
	f.Add([]byte(`{"bomFormat":"CycloneDX","components":[{"purl":"pkg:npm/a@1","components":[{}]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		inv, err := FromSBOM("x", data)
		if err != nil {
			return
		}
		for _, p := range inv.Packages {
			if p.Ecosystem == "" || p.Name == "" || p.Version == "" {
				t.Errorf("a package that cannot be judged: %+v", p)
			}
		}
	})
}

func TestGoVersion(t *testing.T) {
	for in, want := range map[string]string{
		"go1.26.3": "1.26.3", "go1.26": "1.26.0", "go1.27rc1": "1.27.0-rc.1", "go1.21.0 X:boringcrypto": "1.21.0", "go1.22.5-vendor": "1.22.5",
		"devel go1.27-abcdef": "", "": "", "go1": "", "go1.x": "", "1.26.3": "1.26.3",
	} {
		if got, _ := goVersion(in); got != want {
			t.Errorf("%q gives %q, want %q", in, got, want)
		}
	}
	if strings.Contains(goPURL("example.org/a b", "v1"), " ") {
		t.Error("a space in a package URL")
	}
}
