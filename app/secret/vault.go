package secret

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// VaultOptions are the settings of Vault. The credential is either Token or the
// login with Role and JWT.
type VaultOptions struct {
	Address   string // https://vault.example:8200
	Namespace string // of Vault Enterprise or HCP

	// Token gives a token, for instance File("/vault/secrets/token", ...) that an
	// agent keeps.
	Token Source

	// Role, with JWT, logs in by the Kubernetes or JWT method mounted at Login,
	// "kubernetes" if empty. JWT is the service account's token.
	Role  string
	JWT   Source
	Login string

	Mount string // of the key-value engine; empty: "secret"
	// Version1 reads a key-value engine of version 1, which keeps no versions.
	Version1 bool

	// Transport is what requests are sent with, for instance one that trusts a
	// private CA; nil: http.DefaultTransport.
	Transport http.RoundTripper
}

// Vault reads field of the secret at path from HashiCorp Vault or OpenBao, by
// their HTTP API for the key-value engine. A field that is not a string comes
// as its JSON.
func Vault(path, field string, o VaultOptions) Source {
	if o.Mount == "" {
		o.Mount = "secret"
	}
	if o.Login == "" {
		o.Login = "kubernetes"
	}
	return &vault{path: path, field: field, o: o}
}

type vault struct {
	path, field string
	o           VaultOptions

	mu      sync.Mutex
	token   string // of a login
	expires time.Time
}

func (v *vault) String() string {
	return fmt.Sprintf("Vault %s field %s", strings.Trim(v.o.Mount, "/")+"/"+strings.Trim(v.path, "/"), v.field)
}

func (v *vault) Get(ctx context.Context) ([]byte, error) {
	base, err := checkBase(v.o.Address)
	if err != nil {
		return nil, err
	}
	target, err := v.target(base)
	if err != nil {
		return nil, err
	}
	token, err := v.credential(ctx, base)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequest(http.MethodGet, target, nil)
	if err != nil {
		return nil, err
	}
	v.sign(req, token)
	data, err := v.fetch(ctx, req)
	if err != nil {
		v.forget()
		return nil, err
	}
	return pick(data, v.field)
}

func (v *vault) target(base *url.URL) (string, error) {
	mount, err := escapePath(v.o.Mount)
	if err != nil {
		return "", err
	}
	path, err := escapePath(v.path)
	if err != nil {
		return "", err
	}
	if !v.o.Version1 {
		mount += "/data"
	}
	return v.url(base, mount+"/"+path), nil
}

func (v *vault) url(base *url.URL, path string) string {
	return base.Scheme + "://" + base.Host + strings.TrimSuffix(base.EscapedPath(), "/") + "/v1/" + path
}

func (v *vault) sign(req *http.Request, token string) {
	req.Header.Set("X-Vault-Request", "true")
	if token != "" {
		req.Header.Set("X-Vault-Token", token)
	}
	if v.o.Namespace != "" {
		req.Header.Set("X-Vault-Namespace", v.o.Namespace)
	}
}

func (v *vault) fetch(ctx context.Context, req *http.Request) (map[string]json.RawMessage, error) {
	if v.o.Version1 {
		var answer struct {
			Data map[string]json.RawMessage `json:"data"`
		}
		err := exchange(ctx, v.o.Transport, req, &answer)
		return answer.Data, err
	}
	var answer struct {
		Data struct {
			Data map[string]json.RawMessage `json:"data"`
		} `json:"data"`
	}
	err := exchange(ctx, v.o.Transport, req, &answer)
	return answer.Data.Data, err
}

// pick returns a field of a JSON object: a string's text, else its JSON.
func pick(data map[string]json.RawMessage, field string) ([]byte, error) {
	raw, ok := data[field]
	if !ok || string(raw) == "null" {
		return nil, fmt.Errorf("%w: no field %s", ErrNotFound, field)
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		raw = []byte(text)
	}
	return clean(raw, true)
}

func (v *vault) credential(ctx context.Context, base *url.URL) (string, error) {
	switch {
	case v.o.Token != nil && v.o.JWT != nil:
		return "", errors.New("both Token and JWT are set: use one")
	case v.o.Token != nil:
		return text(ctx, "token", v.o.Token)
	case v.o.JWT == nil || v.o.Role == "":
		return "", errors.New("no credential: set Token, or Role and JWT")
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.token != "" && time.Now().Before(v.expires) {
		return v.token, nil
	}
	jwt, err := text(ctx, "JWT", v.o.JWT)
	if err != nil {
		return "", err
	}
	return v.login(ctx, base, jwt)
}

func (v *vault) login(ctx context.Context, base *url.URL, jwt string) (string, error) {
	mount, err := escapePath(v.o.Login)
	if err != nil {
		return "", err
	}
	body, err := json.Marshal(map[string]string{"role": v.o.Role, "jwt": jwt})
	if err != nil {
		return "", err
	}
	req, err := http.NewRequest(http.MethodPost, v.url(base, "auth/"+mount+"/login"), bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	v.sign(req, "")
	var answer struct {
		Auth struct {
			Token string `json:"client_token"`
			Lease int    `json:"lease_duration"` // seconds
		} `json:"auth"`
	}
	if err := exchange(ctx, v.o.Transport, req, &answer); err != nil {
		// %v: a login that is not there is not a secret that is not there.
		return "", fmt.Errorf("log in: %v", err)
	}
	if answer.Auth.Token == "" {
		return "", errors.New("log in: no token in the answer")
	}
	v.token = answer.Auth.Token
	// A token is used for two thirds of its life; one without an end for this
	// request only.
	v.expires = time.Now().Add(time.Duration(answer.Auth.Lease) * time.Second * 2 / 3)
	return v.token, nil
}

// forget drops the token of a login, which may have been revoked.
func (v *vault) forget() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.token = ""
}

// text reads a credential that another source keeps.
func text(ctx context.Context, what string, s Source) (string, error) {
	b, err := s.Get(ctx)
	if err != nil {
		return "", fmt.Errorf("read %s from %s: %v", what, s, err) // %v: as in login
	}
	defer clear(b)
	for _, c := range b {
		if c <= ' ' || c == 0x7f {
			return "", fmt.Errorf("read %s from %s: it holds a blank or control character", what, s)
		}
	}
	return string(b), nil
}
