// Package api recognises planted credentials in HTTP requests: AWS Signature
// Version 4, Kubernetes (client certificate), registries, npm, git, .netrc,
// Vault, Google service accounts, and bearer tokens of our own. It answers in
// each service's own words that access is denied.
package api

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/hardstand/hardstand/canary/collector/listen"
	"github.com/hardstand/hardstand/canary/collector/store"
)

const maxBody = 64 << 10 // bytes of a request that are read

// Handler answers requests. Clients send certificates only if the server's TLS
// configuration asks for one: tls.RequestClientCert.
type Handler struct {
	Book   *listen.Book
	Report listen.Report
	// Source returns the peer's address, for servers behind a proxy; the
	// connection's where nil.
	Source func(*http.Request) string
	// Failed is told of reports that failed; may be nil.
	Failed func(error)
}

// use is what a request shows.
type use struct {
	entry *listen.Entry
	proof store.Proof
	nonce string // where a replay can be told from another use
	facts map[string]string
}

// ServeHTTP reports a planted credential and refuses.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		body = nil // too long, or gone: what the headers show is enough
	}
	call := call{Request: r, body: body, truncated: err != nil}
	for _, service := range services {
		if !service.speaks(call) {
			continue
		}
		u := service.recognise(h, call)
		if u.entry == nil {
			u = h.certificate(r)
		}
		if u.entry != nil {
			h.tell(r.Context(), r, u)
		}
		service.refuse(w, call, u)
		return
	}
}

// call is a request with its body.
type call struct {
	*http.Request
	body      []byte
	truncated bool
}

// service is one protocol over HTTP. The first that speaks a request answers.
type service struct {
	speaks    func(call) bool
	recognise func(*Handler, call) use
	refuse    func(http.ResponseWriter, call, use)
}

var services = []service{
	{isAWS, (*Handler).aws, refuseAWS},
	{isVault, (*Handler).vault, refuseVault},
	{isToken, (*Handler).assertion, refuseAssertion},
	{isRegistry, (*Handler).authorization, refuseRegistry},
	{isNPM, (*Handler).authorization, refuseNPM},
	{isGit, (*Handler).authorization, refuseGit},
	{isKubernetes, (*Handler).authorization, refuseKubernetes},
	{func(call) bool { return true }, (*Handler).authorization, refusePlain},
}

func (h *Handler) tell(ctx context.Context, r *http.Request, u use) {
	facts := map[string]string{"method": r.Method, "path": r.URL.Path, "host": r.Host, "agent": r.UserAgent()}
	for k, v := range u.facts {
		facts[k] = v
	}
	source := r.RemoteAddr
	if h.Source != nil {
		source = h.Source(r)
	}
	o := u.entry.Observation(u.proof, listen.Source(source), facts)
	o.Nonce = u.nonce
	if err := h.Report.Send(ctx, o); err != nil && h.Failed != nil {
		h.Failed(fmt.Errorf("report use of %s: %w", u.entry.Kind, err))
	}
}

// certificate looks at the client's TLS certificate, whose key the handshake
// has verified.
func (h *Handler) certificate(r *http.Request) use {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return use{}
	}
	leaf := r.TLS.PeerCertificates[0]
	public, ok := leaf.PublicKey.(ed25519.PublicKey)
	if !ok {
		return use{}
	}
	entry := h.Book.Key(public)
	if entry == nil || entry.Kind != "kubeconfig" {
		return use{}
	}
	return use{entry: entry, proof: store.ProofKey, facts: map[string]string{"user": leaf.Subject.CommonName}}
}

// authorization looks at Basic and Bearer (RFC 7617, RFC 6750), and at a
// password in the address.
func (h *Handler) authorization(c call) use {
	if user, password, ok := c.BasicAuth(); ok {
		return h.password(user, password)
	}
	scheme, secret, _ := strings.Cut(c.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") || strings.EqualFold(scheme, "token") {
		return h.bearer(secret)
	}
	for _, name := range []string{"X-Api-Key", "Private-Token", "X-Api-Token"} {
		if u := h.bearer(c.Header.Get(name)); u.entry != nil {
			return u
		}
	}
	return use{}
}

func (h *Handler) bearer(secret string) use {
	if entry := h.Book.Bearer(strings.TrimSpace(secret)); entry != nil {
		return use{entry: entry, proof: store.ProofSecret}
	}
	return use{}
}

func (h *Handler) password(user, password string) use {
	if u := h.bearer(password); u.entry != nil {
		return u
	}
	entry := h.Book.User(user)
	if entry == nil {
		return use{}
	}
	proof := store.ProofNone
	if entry.Holds(password) {
		proof = store.ProofSecret
	}
	return use{entry: entry, proof: proof, facts: map[string]string{"user": user}}
}

func isVault(c call) bool {
	return c.Header.Get("X-Vault-Token") != "" || c.Header.Get("X-Vault-Request") != ""
}

func (h *Handler) vault(c call) use {
	u := h.bearer(c.Header.Get("X-Vault-Token"))
	if u.entry != nil {
		u.facts = map[string]string{"namespace": c.Header.Get("X-Vault-Namespace")}
	}
	return u
}

// id is an answer's request identity, in the form most services use.
func id(c call) string {
	sum := sha256.Sum256([]byte(c.RemoteAddr + c.RequestURI + time.Now().String()))
	h := hex.EncodeToString(sum[:16])
	return h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-a" + h[17:20] + "-" + h[20:]
}
