package web

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hardstand/hardstand/canary/collector/store"
	"github.com/hardstand/hardstand/canary/collector/web/webtest"
)

func openOIDC(t *testing.T) (*desk, *webtest.Provider) {
	t.Helper()
	p := webtest.NewProvider(t, "collector")
	return open(t, func(o *Options) {
		o.OIDC = &OIDC{Name: "Example", Issuer: p.URL, ClientID: "collector", Viewer: []string{"staff"}, Responder: []string{"oncall"}}
	}), p
}

func TestOIDC(t *testing.T) {
	d, p := openOIDC(t)
	past := time.Now().Add(-time.Hour).Unix()
	for name, c := range map[string]struct {
		claims map[string]any
		change func(map[string]any)
		code   int
		want   string
	}{
		"responder":      {map[string]any{"email": "ada@example.com", "email_verified": true, "groups": []string{"x", "oncall"}}, nil, 200, "ada@example.com"},
		"viewer":         {map[string]any{"sub": "77", "email": "x@example.com", "groups": "staff"}, nil, 200, "subject 77"},
		"no role":        {map[string]any{"groups": []string{"sales"}}, nil, 403, "no role here"},
		"no groups":      {nil, nil, 403, "no role here"},
		"another nonce":  {map[string]any{"groups": "staff"}, func(c map[string]any) { c["nonce"] = "x" }, 502, "could not be verified"},
		"another client": {map[string]any{"groups": "staff"}, func(c map[string]any) { c["aud"] = "x" }, 502, "could not be verified"},
		"another issuer": {map[string]any{"groups": "staff"}, func(c map[string]any) { c["iss"] = "https://evil.example" }, 502, "could not be verified"},
		"expired":        {map[string]any{"groups": "staff"}, func(c map[string]any) { c["exp"] = past }, 502, "could not be verified"},
	} {
		t.Run(name, func(t *testing.T) {
			d.client = d.person(t)
			p.Person(c.claims, c.change)
			resp, text := d.get(t, "/signin/oidc?next=/sinks")
			if resp.StatusCode != c.code || !strings.Contains(text, c.want) {
				t.Errorf("%d at %s, no %q", resp.StatusCode, resp.Request.URL, c.want)
			}
			if c.code == 200 && resp.Request.URL.Path != "/sinks" {
				t.Errorf("arrived at %s", resp.Request.URL)
			}
			if _, text := d.get(t, "/"); strings.Contains(text, "Sign out") != (c.code == 200) {
				t.Error("a session without a sign-in, or none after it")
			}
		})
	}
}

func TestOIDCAnswerMustBelongToTheBrowser(t *testing.T) {
	d, p := openOIDC(t)
	p.Person(map[string]any{"groups": "oncall"}, nil)
	victim, attacker := d.person(t), d.person(t)
	attacker.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if r.URL.Path == "/signin/callback" {
			return http.ErrUseLastResponse
		}
		return nil
	}
	resp, err := attacker.Get(d.URL + "/signin/oidc")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	d.client = victim
	if resp, _ := d.get(t, strings.TrimPrefix(resp.Header.Get("Location"), d.URL)); resp.StatusCode != 403 {
		t.Errorf("an attacker's answer in another browser: %d", resp.StatusCode)
	}
	if resp, _ := d.get(t, "/"); resp.Request.URL.Path != "/signin" {
		t.Error("the victim is signed in as the attacker")
	}
}

func TestViewersChangeNothing(t *testing.T) {
	d, p := openOIDC(t)
	id := webtest.Commit(t, d.store, webtest.Shell("shop", time.Now())).Incident
	p.Person(map[string]any{"groups": "staff"}, nil)
	d.get(t, "/signin/oidc")
	_, text := d.get(t, incidentPath(id))
	if strings.Contains(text, "/acknowledge") || strings.Contains(text, "/mute") {
		t.Error("a viewer is offered buttons")
	}
	for _, path := range []string{incidentPath(id) + "/acknowledge", incidentPath(id) + "/mute", "/mutes", "/rules", "/canaries/x/revoke"} {
		if resp, _ := d.post(t, path, d.form(t, "/")); resp.StatusCode != 403 {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
	if i, _ := d.store.GetIncident(t.Context(), id); i.State != store.Open {
		t.Error("a viewer acknowledged")
	}
}

func TestAProviderThatIsDown(t *testing.T) {
	d, p := openOIDC(t)
	p.Close()
	if resp, text := d.get(t, "/signin/oidc"); resp.StatusCode != 502 || !strings.Contains(text, "does not answer") {
		t.Errorf("%d", resp.StatusCode)
	}
}
