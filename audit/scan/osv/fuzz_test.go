package osv

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"
)

const seed = `{"id":"DEBIAN-CVE-2026-1","modified":"2026-11-22T00:00:00Z","upstream":["CVE-2026-1"],"affected":[{"package":{"ecosystem":"Debian:13","name":"glibc"},` +
	`"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"2.41-13"}]}],"versions":["2.41-1"],"ecosystem_specific":{"urgency":"high"}}]}`

// FuzzEntry reads an entry and judges versions by it.
func FuzzEntry(f *testing.F) {
	f.Add([]byte(seed), "2.41-12")
	f.Add([]byte(`{"id":"GO-1","affected":[{"package":{"ecosystem":"Go","name":"m"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"last_affected":"1.0.0"},{"limit":"*"}]}],"database_specific":7}]}`), "1.0.0")
	f.Add([]byte(`{"id":"x","affected":[{"package":{"ecosystem":"PyPI:x"},"ranges":[{"type":"ECOSYSTEM","events":[{}]}]}]}`), "")
	f.Fuzz(func(t *testing.T, data []byte, version string) {
		if len(data) > 1<<12 || len(version) > 256 {
			return // version orders are quadratic in places; an entry of that size is not what is looked for
		}
		e, err := ParseEntry(data)
		if err != nil {
			return
		}
		for i := range e.Affected {
			v := e.Affected[i].Affects(version)
			if v.Doubt != "" && !v.Affected {
				t.Error("a doubt took a finding away")
			}
		}
		e.CVEs()
	})
}

// FuzzSkip checks that the look at undecoded bytes never passes over an entry
// that decoding would match.
func FuzzSkip(f *testing.F) {
	f.Add([]byte(seed))
	f.Add([]byte(`{"id":"x","modified":"2026-11-22T00:00:00Z","affected":[{"package":{"name":"gl\u0069bc","ecosystem":"Debian:13"}}]}`))
	f.Add([]byte(`{"id":"x","modified":"2026-11-22T00:00:00Z","name":"\\","affected":[{"package":{"name" : "glibc","ecosystem":"Debian"}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var plain struct {
			Affected []struct {
				Package map[string]any `json:"package"`
			} `json:"affected"`
		}
		e, err := ParseEntry(data)
		if err != nil || json.Unmarshal(data, &plain) != nil {
			return
		}
		want := false
		for i, a := range e.Affected {
			// Go's decoder also takes "Name" for "name"; the schema does not.
			exact := plain.Affected[i].Package["name"] == "glibc" && plain.Affected[i].Package["ecosystem"] == a.Package.Ecosystem
			want = want || exact && a.Package.Name == "glibc" && Parent(a.Package.Ecosystem) == "Debian"
		}
		s := newScope(Query{Ecosystem: "Debian", Names: []string{"glibc"}})
		if err := s.entry("x", data); err == nil && want && len(s.matches) == 0 {
			t.Errorf("passed over %s", data)
		}
	})
}

// FuzzZip opens anything as a zip and asks it.
func FuzzZip(f *testing.F) {
	f.Add([]byte("PK\x05\x06" + string(make([]byte, 18))))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := zipContainer("x", data)
		if err != nil {
			return
		}
		a, err := c.ask(t.Context(), Query{Ecosystem: "Debian", Names: []string{"glibc"}})
		if err == nil && a.Entries == 0 {
			t.Error("an empty answer without an error")
		}
	})
}

// FuzzIndexRecord unpacks anything as an index's record.
func FuzzIndexRecord(f *testing.F) {
	f.Add([]byte{0x28, 0xb5, 0x2f, 0xfd})
	f.Fuzz(func(_ *testing.T, data []byte) { _, _ = unpack(data) })
}

func TestSlimKeepsWhatDecides(t *testing.T) {
	raw := []byte(`{"id":"x","details":"long","references":[1],"credits":[2],"modified":"2026-11-22T00:00:00Z","affected":[{"package":{"name":"a","ecosystem":"Go"}}]}`)
	small, err := slim(raw)
	if err != nil || bytes.Contains(small, []byte("long")) {
		t.Fatalf("%s, %v", small, err)
	}
	e, err := ParseEntry(small)
	if err != nil || e.Affected[0].Package.Name != "a" || !e.Modified.Equal(time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("%+v, %v", e, err)
	}
}
