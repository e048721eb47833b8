package registry

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hardstand/hardstand/sign"
)

// An attestation in both forms is read once, unless the forms themselves are
// asked about.
func TestVerifyReadsAttestationsOnce(t *testing.T) {
	var blobs atomic.Int32
	handler := NewHandler(ServeOptions{})
	tag := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/") {
			blobs.Add(1)
		}
		handler.ServeHTTP(w, r)
	}))
	index := newIndex(t, false)
	mustPublish(t, publication1(t, tag, index))
	read := func(forms ...sign.Form) (sign.Report, int32) {
		blobs.Store(0)
		p := policy()
		p.Forms = forms
		report, err := Verify(context.Background(), tag, quick(), p)
		if err != nil {
			t.Fatal(err)
		}
		return report, blobs.Load()
	}
	once, n := read()
	twice, m := read(sign.FormLegacy, sign.FormBundle)
	attested := int32(len(once.Attestations) / 2)
	for _, p := range once.Platforms {
		attested += int32(len(p.Attestations) / 2)
	}
	if attested == 0 || m-n != attested {
		t.Errorf("%d blobs read, and %d when the forms are asked about; want %d more", n, m, attested)
	}
	if asJSON(t, once) != asJSON(t, twice) {
		t.Errorf("the reports differ:\n%s\n%s", asJSON(t, once), asJSON(t, twice))
	}
}
