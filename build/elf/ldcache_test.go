package elf_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hardstand/hardstand/build/elf"
)

// libraries is an image with links, a library under another name, and some
// that are none of the loader's.
func libraries(machine string) *elf.Image {
	info := func(soname string) *elf.Info { return &elf.Info{Machine: machine, Soname: soname} }
	links := map[string]string{"/usr/lib/x/libz.so.1": "usr/lib/x/libz.so.1.3.1", "/usr/lib/libb.so.10": "usr/lib/libb.so.10", "/usr/lib/libb.so.9": "usr/lib/libb.so.9"}
	return &elf.Image{
		MultiArch: "x",
		Files: map[string]*elf.Info{
			"usr/lib/x/libz.so.1.3.1": info("libz.so.1"), "usr/lib/libb.so.10": info("libb.so.10"), "usr/lib/libb.so.9": info("libb.so.9"),
			"usr/lib/x/libodd-2.so": info("libodd.so.2"), "usr/bin/tool": info(""), "usr/lib/x/plugins/libp.so": info("libp.so"), "usr/lib/x/module.so": info("module.so"),
		},
		Resolve: func(p string) (string, bool) { to, ok := links[p]; return to, ok },
	}
}

func TestCacheHoldsWhatLdconfigWouldFind(t *testing.T) {
	want := []elf.Library{
		{Name: "libz.so.1", Path: "/usr/lib/x/libz.so.1", Flags: 0x0303}, {Name: "libodd-2.so", Path: "/usr/lib/x/libodd-2.so", Flags: 0x0303},
		{Name: "libb.so.10", Path: "/usr/lib/libb.so.10", Flags: 0x0303}, {Name: "libb.so.9", Path: "/usr/lib/libb.so.9", Flags: 0x0303},
	}
	got := libraries("EM_X86_64").Libraries()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, machine := range []string{"EM_X86_64", "EM_AARCH64", "EM_ARM", "EM_RISCV", "EM_PPC64", "EM_S390"} {
		list := libraries(machine).Libraries()
		data := elf.WriteCache(machine, list)
		back, err := elf.ReadCache(data)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(list, back); diff != "" || len(list) != 4 {
			t.Errorf("%s: %s", machine, diff)
		}
		if big := data[28] == 3; big != (machine == "EM_S390") {
			t.Errorf("%s: byte order %d", machine, data[28])
		}
	}
}

func TestLoadedLibraries(t *testing.T) {
	i := &elf.Image{
		Files: map[string]*elf.Info{
			"opt/bin/a":           {Machine: "EM_X86_64", Needed: []string{"libvm.so"}},
			"opt/server/libvm.so": {Machine: "EM_X86_64", Soname: "libvm.so"},
		},
		Resolve: func(string) (string, bool) { return "", false },
	}
	if len(i.Check()) != 1 {
		t.Error("a library outside of every search path counts as found")
	}
	i.Loaded = []string{"libvm.so"}
	if missing := i.Check(); len(missing) != 0 {
		t.Errorf("a library that is loaded by path counts as missing: %v", missing)
	}
	delete(i.Files, "opt/server/libvm.so")
	if len(i.Check()) != 1 {
		t.Error("a library that is not in the image counts as loaded")
	}
}

func FuzzReadCache(f *testing.F) {
	for _, machine := range []string{"EM_X86_64", "EM_S390"} {
		f.Add(elf.WriteCache(machine, libraries(machine).Libraries()))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := elf.ReadCache(data)
		if err != nil {
			return
		}
		if back, err := elf.ReadCache(elf.WriteCache("EM_X86_64", list)); err != nil || len(back) != len(list) {
			t.Errorf("%d entries come back as %d: %v", len(list), len(back), err)
		}
	})
}
