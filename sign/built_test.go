package sign

import (
	"encoding/json"
	"testing"
	"time"
)

func TestBuiltAt(t *testing.T) {
	want := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	const v1 = "https://slsa.dev/provenance/v1"
	for _, c := range []struct {
		name, kind, predicate string
		known                 bool
	}{
		{"finished", v1, `{"runDetails":{"metadata":{"startedOn":"2026-11-20T09:00:00Z","finishedOn":"2026-11-20T11:00:00+01:00"}}}`, true},
		{"started", v1, `{"runDetails":{"metadata":{"startedOn":"2026-11-20T10:00:00Z"}}}`, true},
		{"old", "https://slsa.dev/provenance/v0.2", `{"metadata":{"buildFinishedOn":"2026-11-20T10:00:00Z"}}`, true},
		{"snapshot", v1, `{"buildDefinition":{"externalParameters":{"definition":{"debian":{"snapshot":"2026-11-20T10:00:00Z"}}}},"runDetails":{"metadata":{}}}`, true},
		{"silent", v1, `{"runDetails":{}}`, false},
		{"shape", v1, `{"runDetails":7}`, false},
		{"another", "https://spdx.dev/Document", `{"runDetails":{"metadata":{"finishedOn":"2026-11-20T10:00:00Z"}}}`, false},
	} {
		got := builtAt(c.kind, json.RawMessage(c.predicate))
		if c.known && !got.Equal(want) || !c.known && !got.IsZero() {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
