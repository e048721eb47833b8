package stub

import (
	"bytes"
	"debug/elf"
	"debug/gosym"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/hardstand/hardstand/canary/alert"
)

// TestCode assembles the code again. UPDATE=1 writes it.
func TestCode(t *testing.T) {
	for arch, have := range map[string][]byte{"amd64": codeAMD64, "arm64": codeARM64} {
		want := assemble(t, arch)
		file := "code_" + arch + ".bin"
		if os.Getenv("UPDATE") != "" {
			if err := os.WriteFile(file, want, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if !bytes.Equal(have, want) {
			t.Errorf("%s is not what stub_%s.s assembles to; UPDATE=1 go test writes it anew", file, arch)
		}
	}
}

// assemble links the package and copies Start and the functions in front of
// it out, behind Start's offset as four bytes.
func assemble(t *testing.T, arch string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "link")
	cmd := exec.Command("go", "build", "-trimpath", "-o", out, "./link")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	file, err := elf.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines, err := file.Section(".gopclntab").Data()
	if err != nil {
		t.Fatal(err)
	}
	text := file.Section(".text")
	table, err := gosym.NewTable(nil, gosym.NewLineTable(lines, text.Addr))
	if err != nil {
		t.Fatal(err)
	}
	start := 0
	for i, f := range table.Funcs {
		if strings.HasSuffix(f.Name, "internal/stub.Start") {
			start = i
		}
	}
	first := start
	for ; first > 0 && !strings.ContainsAny(table.Funcs[first-1].Name, ".:"); first-- {
	}
	if want := map[string]int{"amd64": 12, "arm64": 11}[arch]; start-first != want {
		t.Fatalf("%s: found %d functions before Start, want %d", arch, start-first, want)
	}
	from, to := table.Funcs[first].Entry, table.Funcs[start].End
	code := make([]byte, to-from)
	if _, err := text.ReadAt(code, int64(from-text.Addr)); err != nil {
		t.Fatal(err)
	}
	return append(binary.LittleEndian.AppendUint32(nil, uint32(table.Funcs[start].Entry-from)), code...)
}

func TestLayout(t *testing.T) {
	header, err := os.ReadFile("layout.h")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, m := range regexp.MustCompile(`#define (\w+)\s+(\w+)`).FindAllSubmatch(header, -1) {
		n, err := strconv.ParseInt(string(m[2]), 0, 64)
		if err != nil {
			t.Fatal(err)
		}
		got[string(m[1])] = int(n)
	}
	gap := func(field string) int { return strings.Index(frame, `"`+field+`":`) + len(field) + 3 }
	for name, want := range map[string]int{
		"BASE": base, "STATE_WORDS": stateSize/8 - 1, "INNER": offInner, "OUTER": offOuter, "ROUND": offRound, "BLOCKS": offBlocks,
		"LENGTH": offLength, "MARK": offMark, "PROOF_LEN": offProofLen, "ADDR_LEN": offAddrLen, "FACE_LEN": offFaceLen,
		"FACE_FD": offFaceFD, "FACE_CODE": offFaceCode, "POLICY": offPolicy, "OUTER_PAD": offOuterPad, "MARKER": offMarker,
		"MARKER_ROOT": offMarkerRoot, "PROOF": offProof, "ADDR": offAddr, "CHAIN": offChain, "NS_PID": offNsPid,
		"PROC_SELF": offProcSelf, "PROC_ONE": offProcOne, "LOG": offLog, "SLASH": offSlash, "INITIAL": offInitial,
		"LATCHES": offLatches, "FACE": offFace, "OWN_GROUPS": offOwnGroups, "ONE_GROUPS": offOneGroups, "LINE": offLine, "MESSAGE": offMessage,
		"NONCE": gap("nonce") + 1, "TIME_END": gap("time") + 16, "COUNT_END": gap("n") + 10, "LATCH": gap("latch"),
		"UID_END": gap("uid") + 10, "EUID_END": gap("euid") + 10, "GID_END": gap("gid") + 10, "PID_END": gap("pid") + 10, "PPID_END": gap("ppid") + 10,
	} {
		if got[name] != want {
			t.Errorf("layout.h: %s is %#x, stub.go has %#x", name, got[name], want)
		}
	}
}

func params() Params {
	return Params{Build: "b1", Decoy: "ls", Key: alert.KeyFromBytes([32]byte{1}), OnTrip: alert.TripAlert, Marker: "/etc/image-id",
		Proof: []byte("0011\n"), Socket: "aabb", Face: "no\n", Stream: 2, Code: 2, Seed: 77}
}

func TestProgram(t *testing.T) {
	const limit = 6 << 10
	for arch, machine := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64} {
		program, err := Program(arch, params())
		if err != nil {
			t.Fatal(err)
		}
		if len(program) > limit {
			t.Errorf("%s: %d bytes, the limit is %d", arch, len(program), limit)
		}
		file, err := elf.NewFile(bytes.NewReader(program))
		if err != nil {
			t.Fatal(err)
		}
		if file.Machine != machine || file.Type != elf.ET_EXEC || len(file.Progs) != 2 {
			t.Errorf("%s: %v %v, %d segments", arch, file.Machine, file.Type, len(file.Progs))
		}
		for _, segment := range file.Progs {
			if segment.Flags&(elf.PF_W|elf.PF_X) == elf.PF_W|elf.PF_X || segment.Off%0x10000 != segment.Vaddr%0x10000 {
				t.Errorf("%s: segment %+v", arch, segment.ProgHeader)
			}
		}
		again, err := Program(arch, params())
		if err != nil || !bytes.Equal(program, again) {
			t.Errorf("%s: the same parameters gave other bytes", arch)
		}
		for _, word := range []string{"/proc", "/etc", "hardstand", "pid:", "aabb"} {
			if bytes.Contains(program, []byte(word)) {
				t.Errorf("%s: the program shows %q", arch, word)
			}
		}
		p := params()
		p.Size = 142_144
		if padded, err := Program(arch, p); err != nil || len(padded) != p.Size || !bytes.Equal(padded[:len(program)], program) {
			t.Errorf("%s: padding gave %d bytes, %v", arch, len(padded), err)
		}
	}
}

func TestProgramRefuses(t *testing.T) {
	for name, change := range map[string]func(*Params){
		"long marker":  func(p *Params) { p.Marker = "/" + strings.Repeat("m", 80) },
		"long face":    func(p *Params) { p.Face = strings.Repeat("f", 300) },
		"long chain":   func(p *Params) { p.Chain = strings.Repeat("c", 300) },
		"long message": func(p *Params) { p.Build = strings.Repeat("b", 700) },
	} {
		p := params()
		change(&p)
		if _, err := Program("amd64", p); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := Program("mips", params()); err == nil {
		t.Error("a platform without code was accepted")
	}
}

// TestMessageIsAnAlarm fills the gaps as the code does.
func TestMessageIsAnAlarm(t *testing.T) {
	p := params()
	s, err := p.state()
	if err != nil {
		t.Fatal(err)
	}
	mask(s[8:], binary.LittleEndian.Uint64(s))
	text := s[offMessage:][:binary.LittleEndian.Uint32(s[offLength:])]
	fill := func(field, value string) {
		i := bytes.Index(text, []byte(`"`+field+`":`)) + len(field) + 3
		copy(text[i:], value)
	}
	fill("nonce", `"000102030405060708090a0b0c0d0e0f`)
	for field, width := range map[string]int{"time": 16, "n": 10, "uid": 10, "euid": 10, "gid": 10, "pid": 10, "ppid": 10} {
		fill(field, fmt.Sprintf("%*d", width, 7))
	}
	fill("latch", `"set"     `)
	m, err := alert.Parse([]byte(string(text) + " " + strings.Repeat("0", 64)))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if e := m.Event; e.Build != "b1" || e.Decoy != "ls" || e.KeyID != p.Key.ID() || e.Latch != "set" || e.PPID != 7 || e.Count != 7 {
		t.Errorf("%+v", e)
	}
}
