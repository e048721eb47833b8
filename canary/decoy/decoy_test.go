package decoy

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hardstand/hardstand/canary/alert"
	"github.com/hardstand/hardstand/canary/internal/config"
	"github.com/hardstand/hardstand/internal/deptest"
)

func TestDependsOnAlertOnly(t *testing.T) {
	deptest.Check(t, deptest.Allow{
		"github.com/hardstand/hardstand/canary/alert":              "keys and policies of alarms",
		"github.com/hardstand/hardstand/canary/decoy/internal/...": "the faces and tier A's code",
		"github.com/hardstand/hardstand/canary/internal/config":    "the configuration block",
	})
}

// program is a stand-in with one unfilled block.
func program() []byte {
	return bytes.Join([][]byte{bytes.Repeat([]byte("code"), 100), config.Magic(), make([]byte, config.Size), []byte("end")}, nil)
}

func master(t *testing.T, letter string) alert.Master {
	t.Helper()
	m, err := alert.ParseMaster([]byte("hardstand-canary-master-v1:" + strings.Repeat(letter, 42) + "E"))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func options(t *testing.T) Options {
	return Options{Binary: program(), Arch: "amd64", Master: master(t, "A"), BuildID: "b1", Image: "static"}
}

func emit(t *testing.T, o Options) Result {
	t.Helper()
	r, err := Emit(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestSettingsOfOneDecoy(t *testing.T) {
	o := options(t)
	o.Each = map[string]Decoy{"ls": {Mode: ModeQuiet, OnTrip: alert.TripFall}, "nc": {Path: "/usr/sbin/nc"}}
	for _, d := range emit(t, o).Register.Decoys {
		want := Registered{Path: "/usr/bin/" + d.Name, Mode: ModeDeny, OnTrip: alert.TripAlert}
		switch d.Name {
		case "ls":
			want.Mode, want.OnTrip = ModeQuiet, alert.TripFall
		case "nc":
			want.Path = "/usr/sbin/nc"
		}
		if d.Path != want.Path || d.Mode != want.Mode || d.OnTrip != want.OnTrip {
			t.Errorf("%+v, want %+v", d, want)
		}
	}
	o.Each = map[string]Decoy{"nosuch": {Mode: ModeDeny}}
	if _, err := Emit(o); err == nil || !strings.Contains(err.Error(), "is not planted") {
		t.Errorf("settings of nothing: %v", err)
	}
}

func TestEmitLaysOutOneProgramAndLinks(t *testing.T) {
	o := options(t)
	o.Tier = TierB
	r := emit(t, o)
	seen := map[string]bool{}
	for i, f := range r.Files {
		marker := i == len(r.Files)-1
		switch {
		case seen[f.Path] || !filepath.IsAbs(f.Path):
			t.Errorf("path %s: relative or twice", f.Path)
		case marker && (f.Mode != 0o444 || f.Path != MarkerPath || f.LinkTo != ""):
			t.Errorf("marker %+v", f)
		case !marker && f.Mode != fs.FileMode(0o111):
			t.Errorf("%s has mode %v: readable decoys give away their key", f.Path, f.Mode)
		case !marker && i > 0 && (f.Content != nil || f.LinkTo != r.Files[0].Path):
			t.Errorf("%s is no link to the program", f.Path)
		}
		seen[f.Path] = true
	}
	for _, name := range []string{"sh", "bash", "ls", "cat", "id", "whoami", "ps", "uname", "env", "wget", "curl", "nc", "ncat", "socat", "ssh",
		"scp", "python3", "perl", "apt-get", "apk", "tar", "chmod", "find", "kubectl", "aws", "docker"} {
		if !seen["/usr/bin/"+name] {
			t.Errorf("%s is not planted by default", name)
		}
	}
}

func TestEmitIsDeterministicAndUnique(t *testing.T) {
	first := emit(t, options(t))
	if diff := cmp.Diff(first, emit(t, options(t))); diff != "" {
		t.Errorf("same options, other result:\n%s", diff)
	}
	for name, change := range map[string]func(*Options){
		"build id": func(o *Options) { o.BuildID = "b2" },
		"master":   func(o *Options) { o.Master = master(t, "B") },
	} {
		o := options(t)
		change(&o)
		other := emit(t, o)
		hashes := map[string]bool{}
		for _, f := range first.Files {
			hashes[string(hash(f.Content))] = true
		}
		for _, f := range other.Files {
			if f.LinkTo == "" && hashes[string(hash(f.Content))] {
				t.Errorf("other %s: %s has the same hash", name, f.Path)
			}
		}
		for i, d := range other.Register.Decoys {
			if d.KeyID == first.Register.Decoys[i].KeyID {
				t.Errorf("other %s: %s has the same key", name, d.Name)
			}
		}
	}
}

func hash(b []byte) []byte { s := sha256.Sum256(b); return s[:] }

func TestSecretsStayOutOfRegisterAndSight(t *testing.T) {
	o := options(t)
	r := emit(t, o)
	register, err := json.Marshal(r.Register)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range r.Register.Decoys {
		key := o.Master.Key(o.BuildID, d.Name).Bytes()
		for form, text := range map[string][]byte{
			"raw": key[:], "hex": []byte(hex.EncodeToString(key[:])), "base64": []byte(base64.StdEncoding.EncodeToString(key[:])[:42]),
		} {
			if bytes.Contains(register, text) {
				t.Errorf("the register holds the key of %s, %s", d.Name, form)
			}
			if bytes.Contains(r.Files[0].Content, text) {
				t.Errorf("the program shows the key of %s, %s", d.Name, form)
			}
		}
	}
	for _, word := range []string{"kubectl", MarkerPath, r.Register.Socket, "b1\x00"} {
		if bytes.Contains(r.Files[0].Content, []byte(word)) {
			t.Errorf("the block shows %q", word)
		}
	}
}

func TestEmitKeepsOffWhatTheImageShips(t *testing.T) {
	ships := func(paths ...string) func(string) bool {
		return func(p string) bool {
			for _, s := range paths {
				if s == p {
					return true
				}
			}
			return false
		}
	}
	for name, c := range map[string]struct {
		change func(*Options)
		skips  string
	}{
		"shipped":             {func(o *Options) { o.Shadowed = ships("/usr/bin/perl") }, "perl"},
		"shipped elsewhere":   {func(o *Options) { o.Shadowed = ships("/usr/sbin/tar") }, "tar"},
		"excluded by name":    {func(o *Options) { o.Exclude = []string{"sh"} }, "sh"},
		"excluded by path":    {func(o *Options) { o.Exclude = []string{"/usr/bin/sh"} }, "sh"},
		"entry point":         {func(o *Options) { o.Entrypoints = []string{"/bin/sh"} }, "sh"},
		"bare health command": {func(o *Options) { o.Entrypoints = []string{"curl"} }, "curl"},
	} {
		o := options(t)
		c.change(&o)
		r := emit(t, o)
		if len(r.Register.Skipped) != 1 || r.Register.Skipped[0].Name != c.skips || r.Register.Skipped[0].Reason == "" {
			t.Errorf("%s: skipped %+v, want %s", name, r.Register.Skipped, c.skips)
		}
		for _, f := range r.Files {
			if f.Path == "/usr/bin/"+c.skips {
				t.Errorf("%s: planted all the same", name)
			}
		}
	}
}

func TestEmitRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Options)
		want   string
	}{
		"no program":      {func(o *Options) { o.Binary = nil }, "no multi-call program"},
		"other program":   {func(o *Options) { o.Binary = []byte("ELF") }, "no configuration block"},
		"filled twice":    {func(o *Options) { o.Binary = append(program(), program()...) }, "more than one"},
		"no master":       {func(o *Options) { o.Master = alert.Master{} }, "canary keygen"},
		"no build id":     {func(o *Options) { o.BuildID = "" }, "build id"},
		"odd build id":    {func(o *Options) { o.BuildID = "B 1" }, "build id"},
		"odd tier":        {func(o *Options) { o.Tier = "c" }, "tier"},
		"no platform":     {func(o *Options) { o.Arch = "" }, "architecture"},
		"odd policy":      {func(o *Options) { o.OnTrip = "panic" }, "on-trip"},
		"plain collector": {func(o *Options) { o.Collector = "http://c" }, "https"},
		"no network":      {func(o *Options) { o.Collector = "https://c/" }, "without the tag nonet"},
		"guard missing":   {func(o *Options) { o.Guard = &Guard{Binary: o.Binary} }, "its program"},
		"guard shipped":   {func(o *Options) { o.Guard, o.Shadowed = &Guard{}, func(p string) bool { return p == "/usr/bin/tini" } }, "ships"},
		"guard's long pipe": {func(o *Options) {
			o.Guard = &Guard{Pipes: []Pipe{{Path: "/p", Content: make([]byte, maxPipe+1)}}}
		}, "the limit is"},
		"guard's odd path": {func(o *Options) { o.Guard = &Guard{Allowed: []string{"app"}} }, "absolute"},
		"relative":         {func(o *Options) { o.Decoys = []Decoy{{Name: "ls", Path: "usr/bin/ls"}} }, "absolute"},
		"climbing":         {func(o *Options) { o.Decoys = []Decoy{{Name: "ls", Path: "/usr/../ls"}} }, "absolute and clean"},
		"other name":       {func(o *Options) { o.Decoys = []Decoy{{Name: "ls", Path: "/usr/bin/dir"}} }, "end in the decoy's name"},
		"twice":            {func(o *Options) { o.Decoys = []Decoy{{Name: "ls"}, {Name: "ls"}} }, "twice"},
		"no quiet mode":    {func(o *Options) { o.Decoys = []Decoy{{Name: "ssh", Mode: ModeQuiet}} }, "no harmless"},
		"odd mode":         {func(o *Options) { o.Decoys = []Decoy{{Name: "ssh", Mode: "loud"}} }, "mode"},
		"listed conflict":  {func(o *Options) { o.Decoys, o.Entrypoints = []Decoy{{Name: "ls"}}, []string{"/bin/ls"} }, "declares to run"},
		"none left":        {func(o *Options) { o.Decoys = []Decoy{} }, "no decoy"},
		"too many to hold": {func(o *Options) { o.CA = make([]byte, config.Size) }, "the block has"},
	} {
		o := options(t)
		c.change(&o)
		if _, err := Emit(o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
}

func TestTiers(t *testing.T) {
	for tier, want := range map[string]struct{ programs, links int }{
		TierA: {30, 0}, TierB: {1, 29}, TierBoth: {31, 29}, "": {31, 29},
	} {
		o := options(t)
		o.Tier = tier
		if tier == TierA {
			o.Binary = nil
		}
		r := emit(t, o)
		programs, links, paths := 0, 0, map[string]bool{}
		for _, f := range r.Files {
			switch {
			case f.LinkTo != "" && !paths[f.LinkTo]:
				t.Errorf("tier %q: %s links to what is not there yet", tier, f.Path)
			case f.LinkTo != "":
				links++
			case f.Mode == 0o111:
				programs++
			}
			paths[f.Path] = true
		}
		if programs != want.programs || links != want.links {
			t.Errorf("tier %q: %d programs and %d links, want %+v", tier, programs, links, want)
		}
		for _, d := range r.Register.Decoys {
			if !paths[d.Path] || len(d.SHA256) != 64 {
				t.Errorf("tier %q: the register names %+v", tier, d)
			}
		}
	}
}

func TestOtherPlatformsGetTierB(t *testing.T) {
	o := options(t)
	o.Arch = "riscv64"
	if r := emit(t, o); r.Register.Tier != TierB {
		t.Errorf("tier %s", r.Register.Tier)
	}
	o.Tier = TierA
	if _, err := Emit(o); err == nil {
		t.Error("tier A without code for the platform was emitted")
	}
}

func TestFixedFaces(t *testing.T) {
	for name, want := range map[string]string{
		"ls":  "ls: cannot open directory '.': Permission denied\n",
		"id":  "id: error while loading shared libraries: libc.so.6: cannot open shared object file: Permission denied\n",
		"apt": "apt: error while loading shared libraries: libc.so.6: cannot open shared object file: Permission denied\n",
	} {
		if got, stream, code := fixedFace(name); got != want || stream != 2 || code == 0 {
			t.Errorf("%s: %q on %d, exit %d", name, got, stream, code)
		}
	}
}

// TestProgram builds the real program for both platforms.
func TestProgram(t *testing.T) {
	const limit = 5_000_000 // bytes
	for _, arch := range []string{"amd64", "arm64"} {
		out := filepath.Join(t.TempDir(), arch)
		cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w -buildid=", "-o", out, "./multicall")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("build for %s: %v: %s", arch, err, text)
		}
		binary, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		o := options(t)
		o.Binary, o.Arch = binary, arch
		program := emit(t, o).Files[0].Content
		if len(program) > limit || len(program) != len(binary) {
			t.Errorf("%s: %d bytes, the limit is %d", arch, len(program), limit)
		}
		for _, word := range []string{"runtime.", "github.com/hardstand", "/multicall", "Go buildinf"} {
			if n := bytes.Count(program, []byte(word)); n > 0 {
				t.Errorf("%s: %q is in the program %d times", arch, word, n)
			}
		}
	}
}

func TestRegisterReadsBack(t *testing.T) {
	want := emit(t, options(t)).Register
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseRegister(text)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, text := range []string{"", "{}", `{"version":2,"build":"b"}`, `{"version":1,"build":"B/"}`, `{"odd":1}`} {
		if _, err := ParseRegister([]byte(text)); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}

func FuzzParseRegister(f *testing.F) {
	f.Add([]byte(`{"version":1,"build":"b1","decoys":[{"name":"ls"}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if r, err := ParseRegister(text); err == nil && alert.CheckName(r.Build) != nil {
			t.Errorf("build %q", r.Build)
		}
	})
}
