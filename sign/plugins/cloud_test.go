package plugins

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"hash/crc32"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/kms/apiv1/kmspb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// cloud is four key management services, with one key named release in each.
type cloud struct {
	key                *ecdsa.PrivateKey
	proxy, certificate string
}

func newCloud(t *testing.T, key *ecdsa.PrivateKey) *cloud {
	t.Helper()
	c := &cloud{key: key, certificate: filepath.Join(t.TempDir(), "ca.pem")}
	google := grpc.NewServer()
	kmspb.RegisterKeyManagementServiceServer(google, googleKMS{cloud: c})
	hosts := map[string]http.Handler{
		"kms.eu-central-1.amazonaws.com": http.HandlerFunc(c.aws),
		"cloudkms.googleapis.com":        google,
		"login.microsoftonline.com":      http.HandlerFunc(microsoftLogin),
		"team.vault.azure.net":           http.HandlerFunc(c.azure),
		"vault.example":                  http.HandlerFunc(c.vault),
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := strings.Cut(r.Host, ":")
		if h, ok := hosts[host]; ok {
			h.ServeHTTP(w, r)
			return
		}
		http.Error(w, "no such host: "+r.Host, http.StatusNotFound)
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{c.certify(t, hosts)}, MinVersion: tls.VersionTLS12}
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	proxy := httptest.NewServer(tunnel(server.Listener.Addr().String()))
	t.Cleanup(proxy.Close)
	c.proxy = proxy.URL
	return c
}

// certify makes a certificate for the hosts and writes it to c.certificate.
func (c *cloud) certify(t *testing.T, hosts map[string]http.Handler) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	for host := range hosts {
		template.DNSNames = append(template.DNSNames, host)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, c.key.Public(), c.key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.certificate, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: c.key}
}

// tunnel is a proxy that leads every CONNECT to one address.
func tunnel(to string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			http.Error(w, "CONNECT only", http.StatusMethodNotAllowed)
			return
		}
		server, err := net.Dial("tcp", to)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer server.Close() //nolint:errcheck // the tunnel ends
		client, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer client.Close() //nolint:errcheck // the tunnel ends
		if _, err := io.WriteString(client, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
			return
		}
		go func() {
			_, _ = io.Copy(server, client)
			_ = server.Close()
		}()
		_, _ = io.Copy(client, server)
	}
}

func (c *cloud) publicDER() []byte {
	der, err := x509.MarshalPKIXPublicKey(c.key.Public())
	if err != nil {
		panic(err)
	}
	return der
}

func (c *cloud) publicPEM() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: c.publicDER()}))
}

// sign returns an ASN.1 signature of a SHA-256 digest.
func (c *cloud) sign(digest []byte) []byte {
	sig, err := ecdsa.SignASN1(rand.Reader, c.key, digest)
	if err != nil {
		panic(err)
	}
	return sig
}

func reply(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body)
}

// aws speaks the JSON 1.1 protocol of AWS KMS. It knows its caller by the access
// key's name and does not check the signature of the request.
func (c *cloud) aws(w http.ResponseWriter, r *http.Request) {
	var in struct {
		KeyID            string `json:"KeyId"`
		Message          []byte
		MessageType      string
		SigningAlgorithm string
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=AKIDTEST/") {
		reply(w, 400, map[string]string{"__type": "AccessDeniedException"})
		return
	}
	if in.KeyID != "alias/release" {
		reply(w, 400, map[string]string{"__type": "NotFoundException", "message": "no " + in.KeyID})
		return
	}
	switch strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "TrentService.") {
	case "GetPublicKey":
		reply(w, 200, map[string]any{"KeyId": in.KeyID, "PublicKey": c.publicDER()})
	case "DescribeKey":
		reply(w, 200, map[string]any{"KeyMetadata": map[string]any{"KeyId": in.KeyID, "SigningAlgorithms": []string{"ECDSA_SHA_256"}}})
	case "Sign":
		if in.MessageType != "DIGEST" || in.SigningAlgorithm != "ECDSA_SHA_256" {
			reply(w, 400, map[string]string{"__type": "ValidationException"})
			return
		}
		reply(w, 200, map[string]any{"KeyId": in.KeyID, "Signature": c.sign(in.Message)})
	default:
		reply(w, 400, map[string]string{"__type": "UnknownOperationException"})
	}
}

func (c *cloud) vault(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("X-Vault-Token") != secret {
		reply(w, 403, map[string]any{"errors": []string{"permission denied"}})
		return
	}
	switch r.URL.Path {
	case "/v1/transit/keys/release":
		reply(w, 200, map[string]any{"data": map[string]any{
			"latest_version": 1, "keys": map[string]any{"1": map[string]string{"name": "P-256", "public_key": c.publicPEM()}}}})
	case "/v1/transit/sign/release/sha2-256":
		var in struct {
			Input     []byte `json:"input"`
			Prehashed bool   `json:"prehashed"`
		}
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil || !in.Prehashed {
			reply(w, 400, map[string]any{"errors": []string{"want a digest"}})
			return
		}
		reply(w, 200, map[string]any{"data": map[string]string{"signature": "vault:v1:" + base64.StdEncoding.EncodeToString(c.sign(in.Input))}})
	default:
		reply(w, 404, map[string]any{"errors": []string{}})
	}
}

const login = "https://login.microsoftonline.com/tenant"

// microsoftLogin is Entra ID for one application.
func microsoftLogin(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/common/discovery/instance":
		reply(w, 200, map[string]any{
			"tenant_discovery_endpoint": login + "/v2.0/.well-known/openid-configuration", "api-version": "1.1",
			"metadata": []any{map[string]any{
				"preferred_network": "login.microsoftonline.com", "preferred_cache": "login.windows.net",
				"aliases": []string{"login.microsoftonline.com"}}}})
	case "/tenant/v2.0/.well-known/openid-configuration":
		reply(w, 200, map[string]string{
			"authorization_endpoint": login + "/oauth2/v2.0/authorize", "token_endpoint": login + "/oauth2/v2.0/token", "issuer": login + "/v2.0"})
	case "/tenant/oauth2/v2.0/token":
		if r.FormValue("client_id") != "client" || r.FormValue("client_secret") != secret {
			reply(w, 401, map[string]string{"error": "invalid_client"})
			return
		}
		reply(w, 200, map[string]any{"access_token": "token-of-client", "expires_in": 3600, "token_type": "Bearer"})
	default:
		http.NotFound(w, r)
	}
}

func (c *cloud) azure(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer token-of-client" {
		w.Header().Set("WWW-Authenticate", fmt.Sprintf("Bearer authorization=%q, resource=%q", login, "https://vault.azure.net"))
		reply(w, 401, map[string]any{})
		return
	}
	const kid = "https://team.vault.azure.net/keys/release/v1"
	raw := func(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
	switch r.URL.Path {
	case "/keys/release/v1":
		point := c.publicDER()
		point = point[len(point)-64:]
		reply(w, 200, map[string]any{"key": map[string]string{"kid": kid, "kty": "EC", "crv": "P-256", "x": raw(point[:32]), "y": raw(point[32:])}})
	case "/keys/release/v1/sign":
		var in struct{ Alg, Value string }
		err := json.NewDecoder(r.Body).Decode(&in)
		digest, bad := base64.RawURLEncoding.DecodeString(in.Value)
		if err != nil || bad != nil || in.Alg != "ES256" {
			reply(w, 400, map[string]any{})
			return
		}
		r, s, err := ecdsa.Sign(rand.Reader, c.key, digest)
		if err != nil {
			panic(err)
		}
		sig := make([]byte, 64)
		r.FillBytes(sig[:32])
		s.FillBytes(sig[32:])
		reply(w, 200, map[string]string{"kid": kid, "value": raw(sig)})
	default:
		reply(w, 404, map[string]any{"error": map[string]string{"code": "KeyNotFound"}})
	}
}

const gcpKey = "projects/p/locations/global/keyRings/r/cryptoKeys/release"

type googleKMS struct {
	kmspb.UnimplementedKeyManagementServiceServer
	*cloud
}

// allow wants a token and a name of the key.
func (googleKMS) allow(ctx context.Context, name string) error {
	md, _ := metadata.FromIncomingContext(ctx)
	if a := md.Get("authorization"); len(a) != 1 || !strings.HasPrefix(a[0], "Bearer ey") {
		return status.Error(codes.Unauthenticated, "no token")
	}
	if name != gcpKey && name != gcpKey+"/cryptoKeyVersions/1" {
		return status.Errorf(codes.NotFound, "no %s", name)
	}
	return nil
}

func (g googleKMS) GetCryptoKey(ctx context.Context, in *kmspb.GetCryptoKeyRequest) (*kmspb.CryptoKey, error) {
	return &kmspb.CryptoKey{Name: in.Name, Purpose: kmspb.CryptoKey_ASYMMETRIC_SIGN}, g.allow(ctx, in.Name)
}

func (g googleKMS) GetCryptoKeyVersion(ctx context.Context, in *kmspb.GetCryptoKeyVersionRequest) (*kmspb.CryptoKeyVersion, error) {
	return &kmspb.CryptoKeyVersion{Name: in.Name, Algorithm: kmspb.CryptoKeyVersion_EC_SIGN_P256_SHA256}, g.allow(ctx, in.Name)
}

func (g googleKMS) GetPublicKey(ctx context.Context, in *kmspb.GetPublicKeyRequest) (*kmspb.PublicKey, error) {
	return &kmspb.PublicKey{Name: in.Name, Pem: g.publicPEM()}, g.allow(ctx, in.Name)
}

func (g googleKMS) AsymmetricSign(ctx context.Context, in *kmspb.AsymmetricSignRequest) (*kmspb.AsymmetricSignResponse, error) {
	sig := g.sign(in.GetDigest().GetSha256())
	sum := crc32.Checksum(sig, crc32.MakeTable(crc32.Castagnoli))
	return &kmspb.AsymmetricSignResponse{
		Name: in.Name, Signature: sig, SignatureCrc32C: wrapperspb.Int64(int64(sum)), VerifiedDigestCrc32C: true,
	}, g.allow(ctx, in.Name)
}
