package secret_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hardstand/hardstand/app/secret"
)

// fakeVault answers as Vault's HTTP API documents it.
type fakeVault struct {
	logins int
	lease  int
}

func (f *fakeVault) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	token := r.Header.Get("X-Vault-Token")
	switch r.Method + " " + r.URL.EscapedPath() {
	case "POST /v1/auth/kubernetes/login":
		var in struct{ Role, JWT string }
		if json.NewDecoder(r.Body).Decode(&in) != nil || in.Role != "app" || in.JWT != "jwt" {
			http.Error(w, `{"errors":["bad jwt `+hidden+`"]}`, http.StatusForbidden)
			return
		}
		f.logins++
		fmt.Fprintf(w, `{"auth":{"client_token":"s.%d","lease_duration":%d}}`, f.logins, f.lease)
		return
	case "GET /v1/elsewhere/data/moved":
		http.Redirect(w, r, "https://attacker.example/", http.StatusTemporaryRedirect)
		return
	}
	if !strings.HasPrefix(token, "s.") || r.Header.Get("X-Vault-Request") != "true" {
		http.Error(w, `{"errors":["permission denied `+token+`"]}`, http.StatusForbidden)
		return
	}
	switch r.URL.EscapedPath() {
	case "/v1/secret/data/app/db":
		if ns := r.Header.Get("X-Vault-Namespace"); ns != "team" {
			http.Error(w, "namespace "+ns, http.StatusBadRequest)
			return
		}
		io.WriteString(w, `{"data":{"data":{"password":"`+hidden+`","port":5432,"gone":null,"empty":""},"metadata":{"version":3}}}`)
	case "/v1/kv/app%20one":
		io.WriteString(w, `{"data":{"password":"v1"}}`)
	case "/v1/secret/data/garbage":
		io.WriteString(w, `{"data":"`+hidden+`"}`)
	case "/v1/secret/data/huge":
		for range 9 {
			w.Write(make([]byte, 1<<20))
		}
	default:
		http.Error(w, `{"errors":[]}`, http.StatusNotFound)
	}
}

func TestVault(t *testing.T) {
	srv := httptest.NewServer(&fakeVault{})
	defer srv.Close()
	token := give("token", "s.root", nil)
	with := func(o secret.VaultOptions) secret.VaultOptions {
		o.Address = srv.URL
		if o.Token == nil {
			o.Token = token
		}
		o.Namespace = "team"
		return o
	}
	for _, c := range []struct {
		name, path, field string
		o                 secret.VaultOptions
		want, err         string
		absent            bool
	}{
		{"field", "app/db", "password", with(secret.VaultOptions{}), hidden, "", false},
		{"number", "/app/db", "port", with(secret.VaultOptions{}), "5432", "", false},
		{"version-1", "app one", "password", with(secret.VaultOptions{Mount: "kv", Version1: true}), "v1", "", false},
		{"no-field", "app/db", "none", with(secret.VaultOptions{}), "", "not found in Vault secret/app/db field none", true},
		{"null-field", "app/db", "gone", with(secret.VaultOptions{}), "", "not found in Vault secret/app/db field gone", true},
		{"empty-field", "app/db", "empty", with(secret.VaultOptions{}), "", "empty", false},
		{"no-secret", "app/none", "x", with(secret.VaultOptions{}), "", "not found", true},
		{"denied", "app/db", "password", with(secret.VaultOptions{Token: give("t", hidden, nil)}), "", "answered 403 Forbidden", false},
		{"token-missing", "app/db", "password", with(secret.VaultOptions{Token: give("t", "", secret.ErrNotFound)}), "", "read token from t", false},
		{"token-forged", "app/db", "password", with(secret.VaultOptions{Token: give("t", "s.x\r\nX: y", nil)}), "", "control character", false},
		{"climbs", "../sys/raw", "x", with(secret.VaultOptions{}), "", "not allowed", false},
		{"redirect", "moved", "x", with(secret.VaultOptions{Mount: "elsewhere"}), "", "redirect", false},
		{"garbage", "garbage", "x", with(secret.VaultOptions{}), "", "not the JSON expected", false},
		{"huge", "huge", "x", with(secret.VaultOptions{}), "", "larger than", false},
		{"plain-http", "x", "x", secret.VaultOptions{Address: "http://vault.example:8200", Token: token}, "", "use https", false},
		{"no-address", "x", "x", secret.VaultOptions{Token: token}, "", "use https", false},
		{"no-credential", "x", "x", secret.VaultOptions{Address: srv.URL}, "", "no credential", false},
		{"two-credentials", "x", "x", secret.VaultOptions{Address: srv.URL, Token: token, JWT: token, Role: "r"}, "", "use one", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, err := secret.Read(t.Context(), "x", secret.Vault(c.path, c.field, c.o))
			if v.Reveal() != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("%q, %v; want %q, %q", v.Reveal(), err, c.want, c.err)
			}
			if errors.Is(err, secret.ErrNotFound) != c.absent {
				t.Errorf("ErrNotFound: %v", err)
			}
			if err != nil && strings.Contains(err.Error(), hidden) {
				t.Errorf("the error shows a secret: %v", err)
			}
		})
	}
}

func TestVaultLogin(t *testing.T) {
	fake := &fakeVault{lease: 3600}
	srv := httptest.NewServer(fake)
	defer srv.Close()
	o := secret.VaultOptions{Address: srv.URL, Namespace: "team", Role: "app", JWT: give("jwt", "jwt", nil)}
	s := secret.Vault("app/db", "password", o)
	for range 3 {
		if v, err := secret.Read(t.Context(), "x", s); err != nil || v.Reveal() != hidden {
			t.Fatalf("%v", err)
		}
	}
	if fake.logins != 1 {
		t.Errorf("%d logins for three readings within the lease", fake.logins)
	}
	fake.lease = 0
	s = secret.Vault("app/db", "password", o)
	for range 2 {
		if _, err := secret.Read(t.Context(), "x", s); err != nil {
			t.Fatal(err)
		}
	}
	if fake.logins != 3 {
		t.Errorf("%d logins, want one more for each reading without a lease", fake.logins)
	}
	o.JWT = give("jwt", "wrong", nil)
	_, err := secret.Read(t.Context(), "x", secret.Vault("app/db", "password", o))
	if err == nil || strings.Contains(err.Error(), hidden) || !strings.Contains(err.Error(), "log in: answered 403") {
		t.Errorf("refused login: %v", err)
	}
}

func TestAWSAgent(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Aws-Parameters-Secrets-Token") != "ssrf" {
			http.Error(w, "forbidden "+hidden, http.StatusForbidden)
			return
		}
		switch r.URL.RequestURI() {
		case "/secretsmanager/get?secretId=prod%2Fdb%3Fx%3D1":
			io.WriteString(w, `{"Name":"prod/db","SecretString":"{\"password\":\"`+hidden+`\"}"}`)
		case "/secretsmanager/get?secretId=binary":
			io.WriteString(w, `{"SecretBinary":"AAEC"}`)
		case "/secretsmanager/get?secretId=nothing":
			io.WriteString(w, `{}`)
		case "/systemsmanager/parameters/get?name=%2Fapp%2Fkey&withDecryption=true":
			io.WriteString(w, `{"Parameter":{"Name":"/app/key","Value":"p"}}`)
		default:
			http.Error(w, "ResourceNotFound", http.StatusNotFound)
		}
	}))
	defer srv.Close()
	path := filepath.Join(t.TempDir(), "token")
	write(t, path, "ssrf\n", 0o600)
	o := secret.AWSAgentOptions{Address: srv.URL, Token: secret.File(path, secret.FileOptions{})}
	part := o
	part.Field = "password"
	denied := o
	denied.Token = give("t", "wrong", nil)
	for _, c := range []struct {
		name      string
		source    secret.Source
		want, err string
	}{
		{"whole", secret.AWSAgent("prod/db?x=1", o), `{"password":"` + hidden + `"}`, ""},
		{"field", secret.AWSAgent("prod/db?x=1", part), hidden, ""},
		{"field-of", secret.Field(secret.AWSAgent("prod/db?x=1", o), "password"), hidden, ""},
		{"binary", secret.AWSAgent("binary", o), "\x00\x01\x02", ""},
		{"parameter", secret.AWSAgentParameter("/app/key", o), "p", ""},
		{"nothing", secret.AWSAgent("nothing", o), "", "empty"},
		{"not-found", secret.AWSAgent("none", o), "", "not found"},
		{"denied", secret.AWSAgent("binary", denied), "", "answered 403"},
		{"no-name", secret.AWSAgent("", o), "", "name is empty"},
	} {
		v, err := secret.Read(t.Context(), "x", c.source)
		if v.Reveal() != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %q, %v; want %q, %q", c.name, v.Reveal(), err, c.want, c.err)
		}
		if err != nil && strings.Contains(err.Error(), hidden) {
			t.Errorf("%s: the error shows a secret: %v", c.name, err)
		}
	}
}

func TestReadingEndsAtTheTimeout(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer srv.Close()
	o := secret.AWSAgentOptions{Address: srv.URL, Token: give("t", "t", nil)}
	begin := time.Now()
	_, err := secret.Open(t.Context(), "x", secret.Options[string]{Sources: []secret.Source{secret.AWSAgent("id", o)}, Timeout: 50 * time.Millisecond})
	if err == nil || time.Since(begin) > 5*time.Second {
		t.Errorf("%v after %v", err, time.Since(begin))
	}
}
