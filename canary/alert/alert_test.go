package alert

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hardstand/hardstand/internal/deptest"
)

func TestDependsOnTheStandardLibraryOnly(t *testing.T) {
	deptest.Check(t, deptest.Allow{})
}

func TestMark(t *testing.T) {
	at := time.Date(2026, 11, 22, 18, 5, 59, 0, time.UTC)
	for _, c := range []struct{ name, want string }{
		{"ls", "ls"}, {"apt-get", "apt-get"}, {"python3", "python3"}, {"z9-", "z9-"},
		{"socat_long", "socat-lo"}, {"WGET", "wget"}, {"c++", "c--"}, {"99999999", "99999999"}, {"--------", "--------"},
	} {
		mark := Mark(c.name, at)
		name, minute, ok := ParseMark(mark)
		if !ok || name != c.want || !minute.Equal(at.Truncate(time.Minute)) {
			t.Errorf("%s: mark %#x reads as %q %v %v", c.name, mark, name, minute, ok)
		}
		if mark>>62 != 1 {
			t.Errorf("%s: mark %#x: bits 63, 62 must be 01", c.name, mark)
		}
	}
	if got, want := Mark("ls", at), uint64(0x4000000000000000|uint64(469085)<<42|(12*38+19)*3010936384); got != want {
		t.Errorf("layout changed: got %#x, want %#x", got, want)
	}
}

func TestMarkRefusesWhatItDidNotMake(t *testing.T) {
	ls := Mark("ls", markEpoch)
	for name, mark := range map[string]uint64{
		"unlimited": ^uint64(0), "zero": 0, "no flag": ls &^ markSet, "sign bit": ls | 1<<63,
		"empty name": markSet, "padding inside": markSet | 1, "over the base": markSet | markName,
	} {
		if got, _, ok := ParseMark(mark); ok {
			t.Errorf("%s: %#x reads as %q", name, mark, got)
		}
	}
}

func FuzzParseMark(f *testing.F) {
	f.Add(Mark("ls", markEpoch))
	f.Add(^uint64(0))
	f.Fuzz(func(t *testing.T, mark uint64) {
		name, at, ok := ParseMark(mark)
		if ok && Mark(name, at) != mark {
			t.Errorf("%#x reads as %q %v, which packs to %#x", mark, name, at, Mark(name, at))
		}
	})
}

func testMaster(t testing.TB) Master {
	m, err := ParseMaster([]byte(masterPrefix + strings.Repeat("A", 42) + "E\n"))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMasterFile(t *testing.T) {
	made := NewMaster()
	file, err := made.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	back, err := ParseMaster(file)
	if err != nil || back != made {
		t.Fatalf("parse %d bytes written by MarshalText: %v", len(file), err)
	}
	for name, file := range map[string]string{
		"empty": "", "other prefix": "age-secret:AAAA", "short": masterPrefix + "AAAA",
		"zero": masterPrefix + strings.Repeat("A", 43), "long": masterPrefix + strings.Repeat("B", 300),
		"loose bits": masterPrefix + strings.Repeat("A", 42) + "F", "standard alphabet": masterPrefix + strings.Repeat("+", 43),
	} {
		if _, err := ParseMaster([]byte(file)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := (Master{}).MarshalText(); err == nil {
		t.Error("the zero master was written")
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	m := testMaster(t)
	key := m.Key("b1", "ls")
	bytes := key.Bytes()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		for _, text := range []string{fmt.Sprintf(verb, m), fmt.Sprintf(verb, key), fmt.Sprintf(verb, &key)} {
			if strings.Contains(text, fmt.Sprintf("%x", bytes[:4])) || strings.Contains(text, fmt.Sprint(bytes[0])+" ") {
				t.Errorf("%s prints the secret: %s", verb, text)
			}
		}
	}
}

func TestKeysDiffer(t *testing.T) {
	m := testMaster(t)
	other := NewMaster()
	keys := map[Key]string{}
	for name, key := range map[string]Key{
		"b1/ls": m.Key("b1", "ls"), "b1/id": m.Key("b1", "id"), "b2/ls": m.Key("b2", "ls"),
		"b1l/s": m.Key("b1l", "s"), "b/1ls": m.Key("b", "1ls"), "other": other.Key("b1", "ls"),
	} {
		if twin := keys[key]; twin != "" {
			t.Errorf("%s and %s share a key", name, twin)
		}
		keys[key] = name
	}
	if again := m.Key("b1", "ls"); keys[again] != "b1/ls" {
		t.Error("derivation is not deterministic")
	}
}

var full = Event{
	Build: "3f0c9a", Decoy: "ls", Nonce: Nonce{1, 2, 3}, Kind: KindExec, Time: 1_795_370_000_123_456, Uptime: 77, BootID: "b-1", InitStart: 1234,
	Count: 2, OnTrip: TripAlert, Latch: LatchSet, Path: "/usr/bin/ls", Argv: []string{"ls", "-la", "/root"}, Cwd: "/",
	Env: []string{"PATH", "HOME"}, UID: 65532, EUID: 65532, GID: 65532, PID: 17, PPID: 9, Origin: FromInside,
	Ancestors: []Process{{PID: 9, Comm: "app", Exe: "/app", Argv: []string{"/app", "serve"}}, {PID: 1, Comm: "app"}},
	Peers:     []Peer{{FD: 0, Remote: "10.0.0.7:4444", Local: "10.1.0.2:51512"}}, Guess: []Peer{{FD: -1, Remote: "10.0.0.7:4444"}},
	Host: "c0ffee", Container: strings.Repeat("ab", 32), Pod: "p-1", Seccomp: 2, NoNewPrivs: true, CapEff: "0", Tracer: 3,
}

func TestSealedEventComesBackWhole(t *testing.T) {
	m := testMaster(t)
	key := m.Key(full.Build, full.Decoy)
	line := key.Seal(full, 0)
	got, err := Parse(append([]byte("2026-11-22T18:00:00Z stderr F "), line...))
	if err != nil {
		t.Fatal(err)
	}
	want := full
	want.KeyID = key.ID()
	if diff := cmp.Diff(want, got.Event); diff != "" {
		t.Error(diff)
	}
	if err := m.Verify(got); err != nil {
		t.Error(err)
	}
}

func TestHostileTextStaysOnOneLine(t *testing.T) {
	for name, text := range map[string]string{
		"line feed": "a\nb", "terminal": "\x1b]0;owned\x07", "prefix": Prefix + "{}", "quote": `"},"x":{"`, "bytes": "\xff\xfe/\xc3",
		"wide": "日本\u2028😀", "nul": "\x00", "long": strings.Repeat("A", 1<<17), "long wide": strings.Repeat("😀", 1<<15),
	} {
		e := full
		e.Argv = []string{text, text}
		e.Env = slices.Repeat([]string{text}, 3000)
		line := testMaster(t).Key(e.Build, e.Decoy).Seal(e, 0)
		if len(line) > MaxLine || bytes.Count(line, []byte("\n")) != 1 || bytes.Count(line, []byte(Prefix)) != 1 {
			t.Errorf("%s: %d bytes, %d line feeds", name, len(line), bytes.Count(line, []byte("\n")))
		}
		if i := bytes.IndexFunc(line, func(r rune) bool { return r != '\n' && (r < ' ' || r > '~') }); i >= 0 {
			t.Errorf("%s: byte %#x in the line", name, line[i])
		}
		m, err := Parse(line)
		if err != nil || testMaster(t).Verify(m) != nil || !m.Event.Truncated {
			t.Errorf("%s: does not verify as a shortened alarm: %v", name, err)
		}
	}
}

func TestNoForgedAlarmVerifies(t *testing.T) {
	m := testMaster(t)
	line := m.Key(full.Build, full.Decoy).Seal(full, 0)
	rng := rand.New(rand.NewPCG(1, 2))
	accepted := func(kind string, text []byte) {
		if message, err := Parse(text); err == nil && m.Verify(message) == nil {
			t.Errorf("%s accepted: %s", kind, text)
		}
		if _, err := Open(text, m); err == nil {
			t.Errorf("%s opened: %s", kind, text)
		}
	}
	for i := range len(line) - 1 { // the line feed is not part of the message
		for bit := range 8 {
			flipped := bytes.Clone(line)
			flipped[i] ^= 1 << bit
			if c := line[i]; bit == 5 && i >= len(line)-65 && c >= 'a' {
				continue // an upper-case digit is the same number
			}
			accepted(fmt.Sprintf("bit %d of byte %d", bit, i), flipped)
		}
		accepted("truncated", line[:i])
	}
	for range 2000 {
		accepted("other key", NewMaster().Key(full.Build, full.Decoy).Seal(full, 0))
		spliced := full
		spliced.Build = fmt.Sprintf("b%d", rng.Uint32())
		accepted("key of another image", m.Key(full.Build, full.Decoy).Seal(spliced, 0))
	}
	if m.Verify(Message{}) == nil || (Master{}).Verify(Message{}) == nil {
		t.Error("an empty message or master verifies")
	}
}

func TestReader(t *testing.T) {
	m := testMaster(t)
	seal := func(nonce byte) string {
		e := full
		e.Nonce = Nonce{nonce}
		return string(m.Key(e.Build, e.Decoy).Seal(e, 0))
	}
	forged := string(NewMaster().Key(full.Build, full.Decoy).Seal(full, 0))
	for name, c := range map[string]struct {
		log  string
		want string
	}{
		"nothing":           {"app started\n\n", ""},
		"one":               {"app started\n" + seal(1), "2 verified"},
		"carriage return":   {strings.TrimSpace(seal(1)) + "\r\nready\n", "1 verified"},
		"no line feed":      {"x\n" + strings.TrimSpace(seal(1)), "2 verified"},
		"replayed":          {seal(1) + seal(2) + seal(1), "1 verified, 2 verified, 3 repeated"},
		"forged":            {forged + seal(1), "1 forged, 2 verified"},
		"hidden by a torn":  {Prefix + `{"build":` + seal(1), "1 forged, 1 verified"},
		"behind long text":  {strings.Repeat("x", 100_000) + seal(1), "1 verified"},
		"after a long one":  {Prefix + strings.Repeat("y", 100_000) + "\n" + seal(1), "1 forged, 2 verified"},
		"behind a long one": {Prefix + strings.Repeat("y", 100_000) + seal(1), "1 forged, 1 verified"},
		"spliced":           {strings.Replace(seal(1), `"decoy":"ls"`, `"decoy":"id"`, 1), "1 forged"},
	} {
		r := NewReader(strings.NewReader(c.log), NewMaster(), m)
		var got []string
		for {
			alarm, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if (alarm.Err == nil) == (alarm.Verdict == Forged) {
				t.Errorf("%s: %s with error %v", name, alarm.Verdict, alarm.Err)
			}
			got = append(got, fmt.Sprintf("%d %s", alarm.Line, alarm.Verdict))
		}
		if got := strings.Join(got, ", "); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

// TestOpenReadsWhatParseAndVerifyRead: the order of the two changes nothing.
func TestOpenReadsWhatParseAndVerifyRead(t *testing.T) {
	m, other := testMaster(t), NewMaster()
	sign := func(fields string) []byte {
		line := Prefix + fields
		return []byte(line + " " + fmt.Sprintf("%x", m.Key("b1", "ls").mac([]byte(line))))
	}
	const rest = `"key":"k","nonce":"00000000000000000000000000000001","time":1,"uid":0,"euid":0,"gid":0,"pid":1,"ppid":0}`
	for name, c := range map[string]struct {
		line []byte
		want error
	}{
		"sealed":                {m.Key(full.Build, full.Decoy).Seal(full, 0), nil},
		"in another order":      {sign(`{"decoy":"ls","build":"b1",` + rest), nil},
		"blanks":                {sign(`{ "build": "b1", "decoy": "ls",` + rest), nil},
		"named twice":           {sign(`{"build":"b1","decoy":"id","decoy":"ls",` + rest), ErrForged},
		"named twice, the same": {sign(`{"build":"b1","decoy":"ls","decoy":"ls",` + rest), nil},
		"another afterwards":    {sign(`{"build":"b1","decoy":"ls","decoy":"id",` + rest), ErrForged},
	} {
		message, err := Open(c.line, other, m)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if err != nil {
			continue
		}
		parsed, err := Parse(c.line)
		if err != nil || m.Verify(parsed) != nil || !cmp.Equal(parsed.Event, message.Event) {
			t.Errorf("%s: Parse says %+v %v, Open %+v", name, parsed.Event, err, message.Event)
		}
	}
}

func FuzzParse(f *testing.F) {
	m := testMaster(f)
	f.Add(m.Key(full.Build, full.Decoy).Seal(full, 0))
	f.Add([]byte(Prefix + "{} " + strings.Repeat("0", 64)))
	f.Add([]byte("hardstand-canary/2 {}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		message, err := Parse(text)
		if _, opened := Open(text, m); opened == nil && (err != nil || m.Verify(message) != nil) {
			t.Fatalf("opened what does not verify: %s", text)
		}
		if err != nil {
			return
		}
		line := m.Key(message.Event.Build, message.Event.Decoy).Seal(message.Event, MaxMessage)
		again, err := Parse(line)
		if err != nil || m.Verify(again) != nil {
			t.Errorf("an event that was parsed does not seal: %v\n%s", err, line)
		}
	})
}

func FuzzReader(f *testing.F) {
	f.Add("x\n" + Prefix + "{} \n" + Prefix)
	f.Fuzz(func(t *testing.T, log string) {
		r := NewReader(strings.NewReader(log), testMaster(t))
		for n := 0; ; n++ {
			alarm, err := r.Next()
			if err != nil {
				return
			}
			if alarm.Verdict != Forged || n > strings.Count(log, Prefix) {
				t.Errorf("found alarm %d, %s, in %q", n, alarm.Verdict, log)
			}
		}
	})
}
