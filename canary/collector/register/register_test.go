package register

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hardstand/hardstand/canary/alert"
	"github.com/hardstand/hardstand/canary/decoy"
	planted "github.com/hardstand/hardstand/canary/register"
	"github.com/hardstand/hardstand/canary/token"
)

func made(t *testing.T, m alert.Master) token.Register {
	t.Helper()
	r, err := token.Make(token.Options{Master: m, BuildID: "web", Endpoint: "https://c.example", Kinds: []string{"aws", "ssh"}, Date: time.Now(), Owner: "team-web", Route: "#web"})
	if err != nil {
		t.Fatal(err)
	}
	return r.Register
}

// TestForms reads every form that the commands write.
func TestForms(t *testing.T) {
	m := alert.NewMaster()
	tokens := made(t, m)
	d, err := decoy.Emit(decoy.Options{Tier: decoy.TierA, Arch: "amd64", Master: m, BuildID: "web", Image: "web:1", Decoys: []decoy.Decoy{{Name: "ls"}}})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	sealed, err := planted.Seal(m, planted.Record{Build: "api", Image: "api:2", Digest: "sha256:2", Owner: "team-api", Decoys: &d.Register})
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := planted.Seal(alert.NewMaster(), planted.Record{Build: "other"})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"api.register": sealed, "other.register": foreign} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Load([]alert.Master{m}, filepath.Join(dir, "other.register")); err == nil {
		t.Error("a named file that cannot be opened was left out")
	}
	for name, v := range map[string]any{
		"tokens.json": tokens, "decoys.json": d.Register,
		"image.json": map[string]any{"digest": "sha256:1", "register": map[string]any{"build": "web", "decoys": d.Register}},
	} {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "trufflehog-exclude.txt"), []byte("not a register"), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := Load([]alert.Master{alert.NewMaster(), m}, dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Skipped()) != 1 {
		t.Errorf("skipped: %v", r.Skipped())
	}
	all := r.Canaries()
	if len(all) != 2 || all[0].Build != "api" || all[0].Digest != "sha256:2" || all[0].Owner != "team-api" || len(all[0].Decoys) != 1 {
		t.Fatalf("%+v", all)
	}
	if all = all[1:]; all[0].Image != "web:1" || all[0].Digest != "sha256:1" || all[0].Owner != "team-web" || len(all[0].Decoys) != 1 || len(all[0].Tokens) != 2 {
		t.Errorf("%+v", all)
	}
	found, ok := r.Token("aws", tokens.Tokens[0].ID)
	if !ok || found.Build != "web" || found.Secret != token.Derive(m, "web", "aws").Secret || len(r.Tokens("ssh")) != 1 {
		t.Errorf("%+v %t", found, ok)
	}
	if _, ok := r.Token("aws", "AKIA"); ok {
		t.Error("found a token that is not there")
	}
}

func TestRefused(t *testing.T) {
	text, err := json.Marshal(made(t, alert.NewMaster()))
	if err != nil {
		t.Fatal(err)
	}
	r, err := Load([]alert.Master{alert.NewMaster()})
	if err != nil {
		t.Fatal(err)
	}
	for want, text := range map[string]string{
		"another master": string(text), "neither decoys": "{}", "build id": `{"register":{"build":"UPPER","tokens":{"tokens":[]}}}`,
		"unknown kind": `{"build":"web","tokens":[{"kind":"x","id":"y"}]}`, "unexpected end": "{", "more than": strings.Repeat(" ", maxFile+1),
	} {
		if err := r.Add([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: %v, want %q", text, err, want)
		}
	}
	if _, err := Load(nil); err == nil {
		t.Error("a collector without a secret could verify nothing")
	}
}

func FuzzRegister(f *testing.F) {
	f.Add([]byte(`{"digest":"sha256:1","register":{"build":"web","decoys":{"version":1,"build":"web","decoys":[{"name":"ls"}]}}}`))
	f.Add([]byte(`{"version":1,"build":"web","tokens":[]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := Load([]alert.Master{alert.NewMaster()})
		if err != nil {
			t.Fatal(err)
		}
		if r.Add(text) == nil {
			for _, c := range r.Canaries() {
				if alert.CheckName(c.Build) != nil {
					t.Fatalf("%+v", c)
				}
			}
		}
	})
}
