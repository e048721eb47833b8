package payload_test

import (
	"bytes"
	"debug/elf"
	"testing"

	"github.com/hardstand/hardstand/build/cache"
	"github.com/hardstand/hardstand/build/payload"
	"github.com/hardstand/hardstand/build/payload/payloadtest"
	"github.com/hardstand/hardstand/build/spec"
)

// Every embedded program unpacks to what the manifest says, for the right
// machine, and is static.
func TestEmbeddedPrograms(t *testing.T) {
	payloadtest.Need(t)
	machines := map[spec.Platform]elf.Machine{
		{Arch: "amd64"}: elf.EM_X86_64, {Arch: "arm64"}: elf.EM_AARCH64, {Arch: "arm", Variant: "v7"}: elf.EM_ARM,
		{Arch: "riscv64"}: elf.EM_RISCV, {Arch: "ppc64le"}: elf.EM_PPC64, {Arch: "s390x"}: elf.EM_S390,
	}
	for platform, machine := range machines {
		names := []string{payload.Probe, payload.DecoyPlain}
		if machine == elf.EM_X86_64 || machine == elf.EM_AARCH64 {
			names = append(names, payload.ProbePlain, payload.Decoy)
		} else if got := payload.Choose(payload.ProbePlain, platform); got != payload.Probe {
			t.Errorf("%s gets %s for want of the plain probe", platform, got)
		}
		for _, name := range names {
			program, err := payload.Read(name, platform)
			if err != nil {
				t.Fatalf("%v (make payload builds the programs)", err)
			}
			data := program.Data
			if stored, err := payload.Open(name, platform); err != nil || cache.Sum(data) != stored.SHA256 {
				t.Errorf("%s for %s is not what the manifest says: %v", name, platform, err)
			}
			f, err := elf.NewFile(bytes.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			if f.Machine != machine {
				t.Errorf("%s for %s is for %v", name, platform, f.Machine)
			}
			for _, p := range f.Progs {
				if p.Type == elf.PT_INTERP {
					t.Errorf("%s for %s is not static", name, platform)
				}
			}
			want := 1
			if name == payload.Decoy || name == payload.DecoyPlain {
				want = 0
			}
			if n := bytes.Count(data, []byte("hardstand:probe-"+"policy:v1:")); n != want {
				t.Errorf("%s for %s has %d policy blocks, want %d", name, platform, n, want)
			}
		}
	}
}

func TestUnknownProgram(t *testing.T) {
	if _, err := payload.Read("nothing", spec.Platform{Arch: "amd64"}); err == nil {
		t.Error("no error")
	}
}
