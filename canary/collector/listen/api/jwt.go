package api

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/hardstand/hardstand/canary/collector/store"
)

const (
	maxJWT     = 16 << 10 // bytes
	grantJWT   = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	grantField = "grant_type"
)

// assertion is a JWT (RFC 7519) as RFC 7523 uses it, not yet verified.
type assertion struct {
	issuer, subject, scope, audience string
	signed                           string
	signature                        []byte
}

// parseAssertion reads a compact JWS (RFC 7515) with RS256, the only algorithm
// that service accounts use.
func parseAssertion(text string) (assertion, error) {
	parts := strings.Split(text, ".")
	if len(text) > maxJWT || len(parts) != 3 {
		return assertion{}, errors.New("parse assertion: not three parts")
	}
	var header struct {
		Alg string `json:"alg"`
	}
	var claims struct {
		Iss   string `json:"iss"`
		Sub   string `json:"sub"`
		Scope string `json:"scope"`
		Aud   string `json:"aud"`
	}
	if err := decodePart(parts[0], &header); err != nil {
		return assertion{}, err
	}
	if header.Alg != "RS256" {
		return assertion{}, errors.New("parse assertion: the algorithm is not RS256")
	}
	if err := decodePart(parts[1], &claims); err != nil {
		return assertion{}, err
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || len(signature) == 0 {
		return assertion{}, errors.New("parse assertion: signature is not base64url")
	}
	return assertion{claims.Iss, claims.Sub, claims.Scope, claims.Aud, parts[0] + "." + parts[1], signature}, nil
}

func decodePart(text string, into any) error {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return errors.New("parse assertion: a part is not base64url")
	}
	if json.Unmarshal(raw, into) != nil {
		return errors.New("parse assertion: a part is not JSON of the expected form")
	}
	return nil
}

func (a assertion) verify(key *rsa.PublicKey) bool {
	sum := sha256.Sum256([]byte(a.signed))
	return rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], a.signature) == nil
}

func isToken(c call) bool {
	return c.Method == http.MethodPost && strings.HasSuffix(c.URL.Path, "/token")
}

func (h *Handler) assertion(c call) use {
	form, err := url.ParseQuery(string(c.body))
	if err != nil || form.Get(grantField) != grantJWT {
		return h.authorization(c)
	}
	a, err := parseAssertion(form.Get("assertion"))
	if err != nil {
		return use{}
	}
	entry := h.Book.User(a.issuer)
	if entry == nil || entry.Kind != "gcp" {
		return use{}
	}
	u := use{entry: entry, proof: store.ProofNone, facts: map[string]string{"scope": a.scope, "subject": a.subject}}
	if key, err := entry.ServiceKey(); err == nil && a.verify(key) {
		sum := sha256.Sum256(a.signature)
		u.proof, u.nonce = store.ProofKey, hex.EncodeToString(sum[:])
	}
	return u
}

func refuseAssertion(w http.ResponseWriter, c call, u use) {
	description := "Invalid JWT Signature."
	if u.proof == store.ProofKey {
		description = "Invalid grant: account not found"
	}
	answer := map[string]string{"error": "invalid_grant", "error_description": description}
	if form, err := url.ParseQuery(string(c.body)); err != nil || form.Get(grantField) != grantJWT {
		answer = map[string]string{"error": "unsupported_grant_type", "error_description": "Invalid grant_type: " + form.Get(grantField)}
	}
	write(w, http.StatusBadRequest, "application/json; charset=utf-8", encodeJSON(answer))
}
