package secretazure_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"github.com/hardstand/hardstand/app/secret"
	"github.com/hardstand/hardstand/app/secretazure"
)

const hidden = "correct-horse-battery"

type token struct{}

func (token) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: "t", ExpiresOn: time.Now().Add(time.Hour)}, nil
}

// vault answers as Key Vault's REST API does, with its challenge, so that
// Azure's client itself is under test.
func vault(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if r.Header.Get("Authorization") != "Bearer t" {
		w.Header().Set("WWW-Authenticate", `Bearer authorization="https://login.example/tenant", resource="https://vault.azure.net"`)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	fail := func(code int, kind string) {
		w.WriteHeader(code)
		fmt.Fprintf(w, `{"error":{"code":%q,"message":%q}}`, kind, "quotes "+hidden)
	}
	switch strings.TrimSuffix(r.URL.Path, "/") {
	case "/secrets/db":
		fmt.Fprintf(w, `{"value":%q,"id":"https://v/secrets/db/2"}`, hidden)
	case "/secrets/db/1":
		fmt.Fprint(w, `{"value":"old","id":"https://v/secrets/db/1"}`)
	case "/secrets/void":
		fmt.Fprint(w, `{"id":"https://v/secrets/void/1"}`)
	case "/secrets/denied":
		fail(http.StatusForbidden, "Forbidden")
	default:
		fail(http.StatusNotFound, "SecretNotFound")
	}
}

func TestSecret(t *testing.T) {
	srv := httptest.NewTLSServer(http.HandlerFunc(vault))
	defer srv.Close()
	client, err := azsecrets.NewClient(srv.URL, token{}, &azsecrets.ClientOptions{
		ClientOptions:                        azcore.ClientOptions{Transport: srv.Client(), Retry: policy.RetryOptions{MaxRetries: -1}},
		DisableChallengeResourceVerification: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, version, want, err string
		absent                   bool
	}{
		{"db", "", hidden, "", false},
		{"db", "1", "old", "", false},
		{"void", "", "", "no value", false},
		{"denied", "", "", "answered Forbidden (Forbidden)", false},
		{"none", "", "", "not found", true},
		{"", "", "", "name is empty", false},
	} {
		v, err := secret.Read(t.Context(), "x", secretazure.Secret(client, c.name, c.version))
		if v.Reveal() != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s %s: %q, %v; want %q, %q", c.name, c.version, v.Reveal(), err, c.want, c.err)
		}
		if errors.Is(err, secret.ErrNotFound) != c.absent {
			t.Errorf("%s: ErrNotFound: %v", c.name, err)
		}
		if err != nil && strings.Contains(err.Error(), hidden) {
			t.Errorf("%s: the error shows the secret: %v", c.name, err)
		}
	}
}
