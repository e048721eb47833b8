package collector

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/hardstand/hardstand/canary/alert"
	"github.com/hardstand/hardstand/canary/collector/store"
)

var forgeries = flag.Int("forgeries", 40_000, "how many forged alarms TestForgeries makes; the benchmark makes a million")

// TestForgeries makes alarms that nobody with the key made, in every way we
// could think of: none is taken for genuine.
func TestForgeries(t *testing.T) {
	now := time.Now()
	ours, theirs := alert.NewMaster(), alert.NewMaster()
	v := &Verifier{Masters: []alert.Master{ours}, Window: 10 * time.Minute, Memory: 90 * day}
	random := rand.New(rand.NewPCG(7, 11))
	event := func(build, decoy string, at time.Time) alert.Event {
		e := alert.Event{Build: build, Decoy: decoy, Time: at.UnixMicro(), PID: 9, Argv: []string{"ls", "-la"}, Container: strings.Repeat("c", 64)}
		for i := range e.Nonce {
			e.Nonce[i] = byte(random.Uint32() | 1)
		}
		return e
	}
	ways := map[string]func() []byte{
		"bit flip": func() []byte {
			e := event("web", "ls", now)
			line := bytes.TrimSpace(ours.Key("web", "ls").Seal(e, 0))
			line[random.IntN(len(line))] ^= 1 << random.IntN(7) // 7: upper-case hexadecimal means the same bytes
			return line
		},
		"wrong key": func() []byte { return theirs.Key("web", "ls").Seal(event("web", "ls", now), 0) },
		"another decoy's key": func() []byte {
			return ours.Key("web", "cat").Seal(event("web", "ls", now), 0)
		},
		"cross-image": func() []byte { // the key of one image, the name of another
			line := ours.Key("api", "ls").Seal(event("api", "ls", now), 0)
			return bytes.Replace(line, []byte(`"build":"api"`), []byte(`"build":"web"`), 1)
		},
		"spliced": func() []byte { // the words of one, the code of another
			a := bytes.TrimSpace(ours.Key("web", "ls").Seal(event("web", "ls", now), 0))
			b := bytes.TrimSpace(ours.Key("web", "ls").Seal(event("web", "ls", now), 0))
			return append(bytes.Clone(a[:len(a)-64]), b[len(b)-64:]...)
		},
		"truncated": func() []byte {
			line := bytes.TrimSpace(ours.Key("web", "ls").Seal(event("web", "ls", now), 0))
			return line[:random.IntN(len(line))]
		},
		"stale": func() []byte { return ours.Key("web", "ls").Seal(event("web", "ls", now.Add(-91*day)), 0) },
		"oversized": func() []byte {
			line := ours.Key("web", "ls").Seal(event("web", "ls", now), 0)
			return append(bytes.Repeat([]byte{' '}, alert.MaxMessage), line...)
		},
		"no code": func() []byte {
			line := bytes.TrimSpace(ours.Key("web", "ls").Seal(event("web", "ls", now), 0))
			return append(line[:len(line)-64], bytes.Repeat([]byte{'0'}, 64)...)
		},
	}
	for name, way := range ways {
		accepted, same := 0, 0
		for range *forgeries / len(ways) {
			line := way()
			a, err := v.Check(line, now)
			var why Rejection
			if err == nil {
				if name == "bit flip" && reads(line, ours) {
					same++ // a hexadecimal digit changed its case: the same code
					continue
				}
				accepted++
				t.Logf("%s: %+v", line, a)
			} else if !errors.As(err, &why) {
				t.Errorf("%s: %v is no reason", name, err)
			}
		}
		if accepted > 0 {
			t.Errorf("%s: %d accepted", name, accepted)
		}
		t.Logf("%s: %d tried, %d accepted, %d were the same alarm", name, *forgeries/len(ways), accepted, same)
	}
}

// reads says whether a line with its code in lower case is exactly what the
// key signs.
func reads(line []byte, m alert.Master) bool {
	lower := append(bytes.Clone(line[:len(line)-64]), bytes.ToLower(line[len(line)-64:])...)
	message, err := alert.Parse(lower)
	return err == nil && !bytes.Equal(lower, line) && m.Verify(message) == nil
}

// TestReplay: what was heard once is no second alarm, whichever way it comes.
func TestReplay(t *testing.T) {
	b := start(t, Options{})
	line := b.line("web", "ls", b.clock.Now())
	for i := range 50 {
		var err error
		switch i % 3 {
		case 0:
			_, err = b.Alarm(t.Context(), line, store.ChannelHTTPS, "192.0.2.1:1")
		case 1:
			err = b.Line(t.Context(), line, "log")
		case 2:
			b.clock.pass(24 * time.Hour)
		}
		if err != nil {
			t.Fatalf("%d: %v", i, err)
		}
	}
	if found := b.incidents(t); len(found) != 1 || found[0].Count != 1 {
		t.Errorf("incidents: %+v", found)
	}
}

func TestInLine(t *testing.T) {
	m := alert.NewMaster()
	v := &Verifier{Masters: []alert.Master{m}, Window: time.Hour, Memory: 90 * day}
	now := time.Now()
	good := string(bytes.TrimSpace(m.Drill("web", "ls", now)))
	docker, err := json.Marshal(map[string]string{"log": good + "\n", "stream": "stderr"})
	if err != nil {
		t.Fatal(err)
	}
	for name, one := range map[string]struct {
		line       string
		good, bad_ int
	}{
		"plain": {good, 1, 0}, "shipper's time before it": {"2026-11-22T10:00:00Z stderr F " + good, 1, 0},
		"docker's json-file": {string(docker), 1, 0}, "torn, then whole": {good[:50] + good, 1, 1},
		"other text": {"GET / 200", 0, 0}, "forged": {good[:len(good)-3] + "000", 0, 1},
		"escaped slash":   {strings.ReplaceAll(string(docker), "hardstand-canary/1", `hardstand-canary\/1`), 1, 0},
		"two in one line": {good + good, 2, 0},
	} {
		found, rejected := v.InLine([]byte(one.line), now)
		if len(found) != one.good || len(rejected) != one.bad_ {
			t.Errorf("%s: %d good, rejected %v", name, len(found), rejected)
		}
	}
}

func FuzzAlarm(f *testing.F) {
	m := alert.NewMaster()
	v := &Verifier{Masters: []alert.Master{m}, Window: time.Hour, Memory: 90 * day}
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	f.Add([]byte(`hardstand-canary/1 {"build":"web","decoy":"ls","key":"0000000000000000","nonce":"11111111111111111111111111111111","time":1,"uid":0,"euid":0,"gid":0,"ppid":0} ` + strings.Repeat("0", 64)))
	f.Add([]byte(`{"log":"hardstand-canary\/1 {} 00"}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		if a, err := v.Check(line, now); err == nil {
			t.Fatalf("accepted without the key: %+v", a)
		}
		if found, _ := v.InLine(line, now); len(found) > 0 {
			t.Fatalf("accepted without the key: %+v", found)
		}
	})
}

func FuzzName(f *testing.F) {
	v := &Verifier{Masters: []alert.Master{alert.NewMaster()}}
	f.Add("aaaaaaaaaaaaaaaaaaaaaaaaaa.aaaaaaaaaaaaaaaa.nrzs65zfmi.canary.test.", "canary.test.")
	f.Fuzz(func(t *testing.T, name, zone string) {
		if a, err := v.CheckName(name, zone, time.Now()); err == nil {
			t.Fatalf("accepted without the key: %+v", a)
		}
	})
}

func FuzzFalco(f *testing.F) {
	f.Add([]byte(falcoExample))
	f.Add([]byte(`[{"rule":"x","output_fields":{"container.id":null,"proc.pid":1e99}}]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		found, err := ParseFalco(body, time.Now())
		if err == nil && len(found) == 0 || len(found) > maxFalcoAlerts {
			t.Fatalf("%d alerts, no error", len(found))
		}
		for _, a := range found {
			if a.Alarm.Nonce == "" || a.Alarm.Proof != store.ProofNone || len(a.Alarm.Facts) > maxFacts {
				t.Fatalf("%+v", a)
			}
		}
	})
}

const falcoExample = `{"hostname":"node-1","output":"10:20:05.408091526: Warning Sensitive file opened for reading (user=root)","priority":"Warning","rule":"Read sensitive file untrusted","source":"syscall","tags":["T1555"],"time":"2026-11-22T10:20:05.408091526Z","output_fields":{"container.id":"0f1e2d3c4b5a","evt.time":1750870309408091526,"fd.name":"/etc/shadow","proc.cmdline":"cat /etc/shadow","proc.pname":"bash","user.name":"root"}}`

// TestFalco goes through HTTP, with the token and without.
func TestFalco(t *testing.T) {
	b := start(t, Options{})
	body := []byte(strings.ReplaceAll(falcoExample, "2026-11-22T10:20:05.408091526Z", b.clock.Now().UTC().Format(time.RFC3339Nano)))
	if status, _ := b.post(t, "/v1/falco", body); status != 401 {
		t.Errorf("without the token: %d", status)
	}
	for range 2 { // Falco sends no id: the same text is the same alert
		if status, _ := b.post(t, "/v1/falco", body, "Authorization: Bearer a token of a shipper"); status != 202 {
			t.Errorf("with the token: %d", status)
		}
	}
	found := b.incidents(t)
	if len(found) != 1 || found[0].Kind != store.KindRule || found[0].Severity != store.Medium || found[0].Count != 1 || found[0].Container != "0f1e2d3c4b5a" || found[0].Parent != "bash" {
		t.Errorf("incidents: %+v", found)
	}
	if status, _ := b.post(t, "/v1/falco", []byte("{}"), "Authorization: Bearer a token of a shipper"); status != 400 {
		t.Errorf("no rule: %d", status)
	}
}

// TestLines posts what Fluent Bit and Vector post.
func TestLines(t *testing.T) {
	b := start(t, Options{})
	one, two := b.line("web", "ls", b.clock.Now()), b.line("web", "cat", b.clock.Now())
	array, err := json.Marshal([]map[string]any{{"date": 1.5, "log": string(one)}, {"date": 1.5, "log": "GET / 200"}})
	if err != nil {
		t.Fatal(err)
	}
	record, err := json.Marshal(map[string]string{"message": string(two), "timestamp": "2026"})
	if err != nil {
		t.Fatal(err)
	}
	for _, body := range [][]byte{array, append(append(record, '\n'), record...), one} {
		if status, _ := b.post(t, "/v1/lines", body, "Authorization: Bearer a token of a shipper"); status != 202 {
			t.Errorf("%s: %d", body, status)
		}
	}
	if found := b.incidents(t); len(found) != 2 || found[0].Count != 1 {
		t.Errorf("incidents: %+v", found)
	}
}

// TestObservation is what a credential listener hands in.
func TestObservation(t *testing.T) {
	b := start(t, Options{})
	o := store.Observation{Channel: "aws", Build: "web", Token: "aws", TokenID: "AKIAX", Proof: store.ProofKey, Source: "192.0.2.7:99",
		Facts: map[string]string{"user agent": "aws-cli\x1b[0m" + strings.Repeat("y", 5000)}}
	for range 3 {
		if err := b.Ingest(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		o.Source = "192.0.2.7:100"
	}
	found := b.incidents(t)
	if len(found) != 1 || found[0].Count != 3 || found[0].Severity != store.Critical || found[0].Source != "192.0.2.7:99" {
		t.Errorf("incidents: %+v", found)
	}
	alarms, err := b.db.Alarms(t.Context(), found[0].ID, 0)
	if err != nil || len(alarms[0].Facts["user agent"]) > maxFact || strings.Contains(alarms[0].Facts["user agent"], "\x1b") {
		t.Errorf("facts: %+v %v", alarms, err)
	}
	if err := b.Ingest(t.Context(), store.Observation{Build: "UPPER", Token: "aws"}); !errors.Is(err, Malformed) {
		t.Errorf("bad build: %v", err)
	}
}
