package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/hardstand/hardstand/canary/collector/store"
)

// OIDC is a provider that people sign in with: the authorization code flow
// with PKCE, state and nonce.
type OIDC struct {
	Name     string // on the button; the issuer's host where empty
	Issuer   string
	ClientID string
	// ClientSecret is asked for at each sign-in; nil for a public client.
	ClientSecret func() (string, error)
	Scopes       []string // beside openid; email and profile where nil
	// Claim holds the person's groups or roles: a text or a list; "groups"
	// where empty. Who has none of the values below is refused.
	Claim     string
	Viewer    []string // values that make a viewer; "*": everybody
	Responder []string // values that make a responder
	Client    *http.Client
}

// provider is an issuer whose metadata is fetched at the first sign-in.
type provider struct {
	OIDC
	callback string

	mu       sync.Mutex
	endpoint oauth2.Endpoint
	verifier *oidc.IDTokenVerifier
}

func newProvider(o OIDC, base *url.URL) (*provider, error) {
	issuer, err := url.Parse(o.Issuer)
	if err != nil || issuer.Host == "" || issuer.Scheme != "https" && (issuer.Scheme != "http" || !loopback(issuer.Hostname())) {
		return nil, fmt.Errorf("OIDC issuer %q is not an https URL", o.Issuer)
	}
	if o.ClientID == "" || len(o.Viewer)+len(o.Responder) == 0 {
		return nil, errors.New("OIDC needs a client id, and values of the claim that make viewers or responders")
	}
	if o.Name == "" {
		o.Name = issuer.Host
	}
	if o.Claim == "" {
		o.Claim = "groups"
	}
	if o.Scopes == nil {
		o.Scopes = []string{"email", "profile"}
	}
	if o.Client == nil {
		o.Client = &http.Client{}
	}
	client := *o.Client
	client.Timeout = 10 * time.Second
	o.Client = &client
	return &provider{OIDC: o, callback: base.String() + "/signin/callback"}, nil
}

// config fetches the issuer's metadata once, and again after a failure.
func (p *provider) config(ctx context.Context) (*oauth2.Config, *oidc.IDTokenVerifier, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.verifier == nil {
		// The verifier fetches keys later, when this request is over.
		found, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), p.Client), p.Issuer)
		if err != nil {
			return nil, nil, err
		}
		p.endpoint, p.verifier = found.Endpoint(), found.Verifier(&oidc.Config{ClientID: p.ClientID})
	}
	c := &oauth2.Config{ClientID: p.ClientID, Endpoint: p.endpoint, RedirectURL: p.callback, Scopes: append([]string{oidc.ScopeOpenID}, p.Scopes...)}
	if p.ClientSecret != nil {
		secret, err := p.ClientSecret()
		if err != nil {
			return nil, nil, err
		}
		c.ClientSecret = secret
	}
	return c, p.verifier, nil
}

const oidcCookie = "hardstand-oidc"

// startOIDC sends the browser to the provider. What the answer must match
// stays in a cookie, so that any collector behind one name can finish.
func (d *Dashboard) startOIDC(w http.ResponseWriter, r *http.Request) {
	if d.provider == nil {
		d.fail(w, http.StatusNotFound, "There is no sign-in with a provider here.")
		return
	}
	config, _, err := d.provider.config(r.Context())
	if err != nil {
		d.Log.Error("reach OIDC provider", "error", err)
		d.signInForm(w, r, http.StatusBadGateway, "The sign-in provider does not answer.")
		return
	}
	state, nonce, verifier := random(), random(), oauth2.GenerateVerifier()
	next := url.QueryEscape(local(r.URL.Query().Get("next")))
	d.setCookie(w, oidcCookie, strings.Join([]string{state, nonce, verifier, next}, "."), 10*time.Minute)
	http.Redirect(w, r, config.AuthCodeURL(state, oidc.Nonce(nonce), oauth2.S256ChallengeOption(verifier)), http.StatusSeeOther)
}

func (d *Dashboard) finishOIDC(w http.ResponseWriter, r *http.Request) {
	parts := strings.SplitN(d.cookie(r, oidcCookie), ".", 4)
	d.dropCookie(w, oidcCookie)
	if d.provider == nil || len(parts) != 4 || !equal(parts[0], r.URL.Query().Get("state")) {
		d.signInForm(w, r, http.StatusForbidden, "The answer does not belong to a sign-in of this browser. Please try again.")
		return
	}
	subject, err := d.provider.subject(r.Context(), r.URL.Query(), parts[1], parts[2])
	var told *notice
	switch {
	case errors.As(err, &told):
		d.Log.Warn("sign-in refused", "source", d.source(r), "error", err)
		d.signInForm(w, r, told.status, told.text)
		return
	case err != nil:
		d.Log.Error("sign in with OIDC", "error", err)
		d.signInForm(w, r, http.StatusBadGateway, "The sign-in provider's answer could not be verified.")
		return
	}
	if err := d.signIn(w, r, subject, d.provider.Name); err != nil {
		d.report(w, r, err)
		return
	}
	next, err := url.QueryUnescape(parts[3])
	if err != nil {
		next = "/"
	}
	http.Redirect(w, r, local(next), http.StatusSeeOther)
}

// subject exchanges the code and verifies who it is for.
func (p *provider) subject(ctx context.Context, answer url.Values, nonce, verifier string) (store.Subject, error) {
	if answer.Get("error") != "" {
		return store.Subject{}, &notice{http.StatusForbidden, "The sign-in provider refused."}
	}
	config, check, err := p.config(ctx)
	if err != nil {
		return store.Subject{}, err
	}
	ctx = oidc.ClientContext(ctx, p.Client)
	token, err := config.Exchange(ctx, answer.Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		return store.Subject{}, fmt.Errorf("exchange code: %w", err)
	}
	raw, ok := token.Extra("id_token").(string)
	if !ok {
		return store.Subject{}, errors.New("exchange code: no id_token in the answer")
	}
	id, err := check.Verify(ctx, raw)
	if err != nil {
		return store.Subject{}, err
	}
	if !equal(nonce, id.Nonce) {
		return store.Subject{}, errors.New("verify id_token: another nonce")
	}
	claims := map[string]any{}
	if err := id.Claims(&claims); err != nil {
		return store.Subject{}, fmt.Errorf("read claims: %w", err)
	}
	role, ok := p.role(values(claims[p.Claim]))
	if !ok {
		return store.Subject{}, &notice{http.StatusForbidden, "You are known, but have no role here. Ask whoever runs this collector."}
	}
	return store.Subject{Name: name(id.Subject, claims), Role: role}, nil
}

func (p *provider) role(have []string) (store.Role, bool) {
	holds := func(want []string) bool {
		return slices.ContainsFunc(want, func(w string) bool { return w == "*" || slices.Contains(have, w) })
	}
	switch {
	case holds(p.Responder):
		return store.Responder, true
	case holds(p.Viewer):
		return store.Viewer, true
	}
	return "", false
}

// values reads a claim that is a text or a list of texts.
func values(claim any) []string {
	switch c := claim.(type) {
	case string:
		return []string{c}
	case []any:
		var out []string
		for _, v := range c {
			if s, ok := v.(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	return nil
}

const maxPerson = 200 // bytes of a name

// name is an e-mail address that the provider has verified, or the subject,
// which nobody can choose.
func name(subject string, claims map[string]any) string {
	email, _ := claims["email"].(string)
	if verified, _ := claims["email_verified"].(bool); verified && email != "" && len(email) <= maxPerson {
		return email
	}
	return "subject " + subject[:min(len(subject), maxPerson)]
}
