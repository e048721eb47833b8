//go:build e2e && e2epolicy

package sign_test

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hardstand/hardstand/sign"
	"github.com/hardstand/hardstand/sign/policy"
)

// TestPoliciesInGatekeeper has Gatekeeper's engine decide by the generated
// constraint about what a stand-in for Ratify answers. Whatever is not a clear
// yes for this image is a no.
func TestPoliciesInGatekeeper(t *testing.T) {
	program := filepath.Join(tools(t, "gatekeeper"), "gatekeeper")
	const repository = "registry.example.com/team/app"
	files, err := policy.Generate(policy.Ratify, policy.Options{Repository: repository, Keys: []sign.Key{newSigner(t).Key()}})
	if err != nil {
		t.Fatal(err)
	}
	var objects []string
	for _, doc := range strings.Split(string(files[0].Data), "\n---\n") {
		if strings.Contains(doc, ".gatekeeper.sh/") {
			objects = append(objects, doc)
		}
	}
	if len(objects) != 2 {
		t.Fatalf("%d objects for Gatekeeper, want a template and a constraint", len(objects))
	}
	for what, c := range map[string]struct {
		items, system, image, field string
		status                      int
		want                        bool
	}{
		"vouched-for":          {items: `{"key":KEY,"value":{"isSuccess":true}}`, want: true},
		"image-of-others":      {image: "registry.example.com/team/application:1.0", want: true},
		"refused":              {items: `{"key":KEY,"value":{"isSuccess":false}}`},
		"refused-init":         {items: `{"key":KEY,"value":{"isSuccess":false}}`, field: "initContainers"},
		"vouched-for-another":  {items: `{"key":"registry.example.com/team/app:2.0","value":{"isSuccess":true}}`},
		"no-value":             {items: `{"key":KEY,"value":null}`},
		"word-for-yes":         {items: `{"key":KEY,"value":{"isSuccess":"yes"}}`},
		"item-error":           {items: `{"key":KEY,"error":"boom"}`},
		"system-error":         {items: `{"key":KEY,"value":{"isSuccess":true}}`, system: "boom"},
		"no-items":             {},
		"no-items-and-failing": {status: http.StatusInternalServerError},
	} {
		t.Run(what, func(t *testing.T) {
			server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				var asked struct {
					Request struct{ Keys []string }
				}
				if err := json.NewDecoder(req.Body).Decode(&asked); err != nil || len(asked.Request.Keys) != 1 {
					t.Errorf("asked %+v, %v", asked, err)
					return
				}
				if c.status != 0 {
					w.WriteHeader(c.status)
				}
				_, _ = fmt.Fprintf(w, `{"apiVersion":"externaldata.gatekeeper.sh/v1beta1","kind":"ProviderResponse","response":{"systemError":%q,"items":[%s]}}`,
					c.system, strings.ReplaceAll(c.items, "KEY", fmt.Sprintf("%q", asked.Request.Keys[0])))
			}))
			t.Cleanup(server.Close)
			if c.image == "" {
				c.image = repository + ":1.0"
			}
			if c.field == "" {
				c.field = "containers"
			}
			dir := t.TempDir()
			ca, all := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "objects.yaml")
			pod := fmt.Sprintf("apiVersion: v1\nkind: Pod\nmetadata: {name: app, namespace: default}\nspec:\n  %s: [{name: app, image: %q}]\n", c.field, c.image)
			for file, data := range map[string][]byte{
				ca:  pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}),
				all: []byte(strings.Join(append(objects[:2:2], pod), "\n---\n")),
			} {
				if err := os.WriteFile(file, data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			cmd := exec.Command(program, all, server.URL, ca)
			out, err := cmd.CombinedOutput()
			if code := cmd.ProcessState.ExitCode(); err != nil && code != 1 {
				t.Fatalf("no decision: %v\n%s", err, out)
			}
			if (err == nil) != c.want {
				t.Errorf("accepted %v, want %v\n%s", err == nil, c.want, out)
			}
		})
	}
}
