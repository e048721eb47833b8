package sign

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"time"

	bundlepb "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	"github.com/sigstore/sigstore-go/pkg/root"
	sgsign "github.com/sigstore/sigstore-go/pkg/sign"
)

const (
	maxSigningConfig = 1 << 20 // bytes of a signing_config.json
	maxToken         = 64 << 10
	serviceTimeout   = 30 * time.Second
	serviceRetries   = 2
	// certificateReserve is how long a certificate must still be valid to be
	// used: the timestamp has to fall into its ten minutes.
	certificateReserve = time.Minute
)

// KeylessOptions says who signs and with whose help. A certificate authority
// turns an identity token into a certificate that is valid for minutes; a
// timestamp authority or a log proves that the signature was made in them.
type KeylessOptions struct {
	// Token returns an OIDC identity token for the audience "sigstore".
	Token func(context.Context) (string, error)
	// SigningConfig is a sigstore signing_config.json v0.2, of the public or of
	// a private instance.
	SigningConfig []byte
	// Transport carries the requests to the certificate and timestamp
	// authorities; nil is Go's default.
	Transport http.RoundTripper
}

// NewKeyless returns a signer whose key lives only in this process.
func NewKeyless(o KeylessOptions) (*Signer, error) {
	if o.Token == nil {
		return nil, errors.New("sign keyless: an identity token is needed")
	}
	k, err := newKeyless(o)
	if err != nil {
		return nil, fmt.Errorf("sign keyless: %w", err)
	}
	return &Signer{keyless: k}, nil
}

type keyless struct {
	pair         *sgsign.EphemeralKeypair
	certificates *certificates
	stamps       []*sgsign.TimestampAuthority
	logs         []root.Service
}

func newKeyless(o KeylessOptions) (*keyless, error) {
	if len(o.SigningConfig) > maxSigningConfig {
		return nil, fmt.Errorf("signing config over %d bytes", maxSigningConfig)
	}
	config, err := root.NewSigningConfigFromJSON(o.SigningConfig)
	if err != nil {
		return nil, fmt.Errorf("read signing config: %w", err)
	}
	now := time.Now()
	authority, err := root.SelectService(config.FulcioCertificateAuthorityURLs(), []uint32{1}, now)
	if err != nil {
		return nil, fmt.Errorf("choose a certificate authority: %w", err)
	}
	k := &keyless{}
	if k.pair, err = sgsign.NewEphemeralKeypair(nil); err != nil {
		return nil, err
	}
	if err := checkService(authority.URL); err != nil {
		return nil, err
	}
	k.certificates = &certificates{token: o.Token, authority: sgsign.NewFulcio(&sgsign.FulcioOptions{
		BaseURL: authority.URL, Timeout: serviceTimeout, Retries: serviceRetries, Transport: o.Transport,
	})}
	return k, k.chooseWitnesses(config, o.Transport, now)
}

// chooseWitnesses picks timestamp authorities and logs as the config demands.
func (k *keyless) chooseWitnesses(config *root.SigningConfig, transport http.RoundTripper, now time.Time) error {
	if len(config.TimestampAuthorityURLs()) > 0 {
		chosen, err := root.SelectServices(config.TimestampAuthorityURLs(), config.TimestampAuthorityURLsConfig(), []uint32{1}, now)
		if err != nil {
			return fmt.Errorf("choose a timestamp authority: %w", err)
		}
		for _, s := range chosen {
			if err := checkService(s.URL); err != nil {
				return err
			}
			k.stamps = append(k.stamps, sgsign.NewTimestampAuthority(&sgsign.TimestampAuthorityOptions{
				URL: s.URL, Timeout: serviceTimeout, Retries: serviceRetries, Transport: transport,
			}))
		}
	}
	if len(config.RekorLogURLs()) > 0 {
		var err error
		k.logs, err = root.SelectServices(config.RekorLogURLs(), config.RekorLogURLsConfig(), sgsign.RekorAPIVersions, now)
		if err != nil {
			return fmt.Errorf("choose a log: %w", err)
		}
		for _, s := range k.logs {
			if err := checkService(s.URL); err != nil {
				return err
			}
		}
	}
	if len(k.stamps)+len(k.logs) == 0 {
		return errors.New("the signing config names neither a timestamp authority nor a log: nobody could tell when a signature was made")
	}
	return nil
}

// checkService keeps identity tokens off plain lines.
func checkService(address string) error {
	u, err := url.Parse(address)
	if err != nil {
		return fmt.Errorf("read service address: %w", err)
	}
	if u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Host) {
		return nil
	}
	return fmt.Errorf("service %s: only HTTPS, or plain HTTP to this machine", u.Redacted())
}

func isLoopback(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.Unmap().IsLoopback()
}

func (k *keyless) bundle(ctx context.Context, content *sgsign.DSSEData) (*bundlepb.Bundle, error) {
	o := sgsign.BundleOptions{
		Context:              ctx,
		CertificateProvider:  k.certificates,
		TimestampAuthorities: k.stamps,
	}
	for _, s := range k.logs {
		// A Rekor is not safe for concurrent use; the connection behind it is.
		o.TransparencyLogs = append(o.TransparencyLogs, sgsign.NewRekor(&sgsign.RekorOptions{
			BaseURL: s.URL, Timeout: serviceTimeout, Retries: serviceRetries, Version: s.MajorAPIVersion,
		}))
	}
	return sgsign.Bundle(content, k.pair, o)
}

// certificates keeps one certificate for as long as it lasts: an index with its
// platforms and their attestations is many signatures of one identity.
type certificates struct {
	token     func(context.Context) (string, error)
	authority *sgsign.Fulcio

	mu     sync.Mutex
	der    []byte
	expiry time.Time
}

// GetCertificate implements sgsign.CertificateProvider.
func (c *certificates) GetCertificate(ctx context.Context, pair sgsign.Keypair, _ *sgsign.CertificateProviderOptions) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Until(c.expiry) > certificateReserve {
		return c.der, nil
	}
	token, err := c.token(ctx)
	if err != nil {
		return nil, fmt.Errorf("get identity token: %w", err)
	}
	der, err := c.authority.GetCertificate(ctx, pair, &sgsign.CertificateProviderOptions{IDToken: token})
	if err != nil {
		return nil, fmt.Errorf("get certificate: %w", err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("get certificate: %w", err)
	}
	c.der, c.expiry = der, certificate.NotAfter
	return der, nil
}

// GitHubToken returns a source of identity tokens of a GitHub Actions job with
// the permission "id-token: write". requestURL and requestToken are what the
// runner puts into ACTIONS_ID_TOKEN_REQUEST_URL and ACTIONS_ID_TOKEN_REQUEST_TOKEN.
func GitHubToken(requestURL, requestToken string, transport http.RoundTripper) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		u, err := url.Parse(requestURL)
		if err != nil || requestURL == "" || requestToken == "" {
			return "", errors.New(`this is no GitHub Actions job with "permissions: id-token: write"`)
		}
		if err := checkService(requestURL); err != nil {
			return "", err
		}
		q := u.Query()
		q.Set("audience", "sigstore")
		u.RawQuery = q.Encode()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
		if err != nil {
			return "", err
		}
		req.Header.Set("Authorization", "Bearer "+requestToken)
		return readToken((&http.Client{Transport: transport, Timeout: serviceTimeout}).Do(req))
	}
}

func readToken(resp *http.Response, err error) (token string, _ error) {
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct {
		Value string `json:"value"`
	}
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("the token service answers %s", resp.Status)
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxToken)).Decode(&answer); err != nil || answer.Value == "" {
		return "", errors.New("the token service's answer holds no token")
	}
	return answer.Value, nil
}
