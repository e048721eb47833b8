package registry

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func FuzzParseLedger(f *testing.F) {
	f.Add([]byte(`{"time":"2026-01-01T00:00:00Z","tag":"localhost/a:1","digest":"sha256:aa"}` + "\n"))
	f.Add([]byte("{}\n{"))
	f.Add([]byte("\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, err := parseLedger(bytes.NewReader(data))
		if err == nil && len(entries) > bytes.Count(data, []byte("\n")) {
			t.Errorf("%d entries", len(entries))
		}
	})
}

func FuzzParseReferrers(f *testing.F) {
	f.Add([]byte(`{"schemaVersion":2,"manifests":[{"digest":"sha256:aa"}]}`))
	f.Add([]byte(`{"manifests":{}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if list, err := parseReferrers(data); err != nil && list != nil {
			t.Error("an error and a list")
		}
	})
}

// The next page of a list is fetched with credentials, so it stays where it is.
func FuzzNextPage(f *testing.F) {
	f.Add(`</v2/app/referrers/sha256:aa?n=1>; rel="next"`)
	f.Add(`<https://elsewhere.example/x>; rel="next"`)
	f.Add(`<//elsewhere.example/x>; rel=next`)
	f.Add(`<:>; rel="next"`)
	f.Fuzz(func(t *testing.T, link string) {
		base := &url.URL{Scheme: "https", Host: "registry.example", Path: "/v2/app/referrers/x"}
		next, err := nextPage(&http.Response{Header: http.Header{"Link": {link}}, Request: &http.Request{URL: base}})
		if err == nil && next != "" && !strings.HasPrefix(next, "https://registry.example") {
			t.Errorf("leads to %q", next)
		}
	})
}

// FuzzReference: whatever names a registry that is not this machine must not be
// taken for one that is.
func FuzzReference(f *testing.F) {
	f.Add("localhost:5000/a:1")
	f.Add("127.0.0.1.example.com/a:1")
	f.Add("[::1]:5000/a@sha256:aa")
	f.Fuzz(func(t *testing.T, reference string) {
		ref, err := ParseReference(reference)
		if err != nil {
			return
		}
		host := ref.Context().RegistryStr()
		if IsLoopback(host) && !strings.HasPrefix(host, "localhost") && !strings.HasPrefix(host, "127.") && !strings.HasPrefix(host, "[") && !strings.Contains(host, ":") {
			t.Errorf("%q is taken for this machine", host)
		}
	})
}
