package api

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/hardstand/hardstand/canary/collector/store"
)

const algorithm = "AWS4-HMAC-SHA256"

// signature is what a request says of its own signature (Signature Version 4,
// docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-signing-elements.html).
type signature struct {
	keyID, date, region, service string
	headers                      []string // signed, lower case, as sent
	mac                          []byte
	time                         string // 20261122T120000Z
	presigned                    bool
}

const (
	maxHeader  = 8 << 10 // bytes of an Authorization header
	maxSigned  = 64      // names of signed headers
	signedDate = "X-Amz-Date"
)

// parseAuthorization reads the header's value.
func parseAuthorization(value string) (signature, error) {
	rest, found := strings.CutPrefix(value, algorithm)
	if !found || len(value) > maxHeader {
		return signature{}, errors.New("parse signature: not " + algorithm)
	}
	var s signature
	for part := range strings.SplitSeq(rest, ",") {
		name, text, _ := strings.Cut(strings.TrimSpace(part), "=")
		if err := s.set(name, text); err != nil {
			return signature{}, err
		}
	}
	return s, s.check()
}

// parseQuery reads a presigned address.
func parseQuery(q url.Values) (signature, error) {
	s := signature{presigned: true, time: q.Get(signedDate)}
	for _, name := range []string{"Credential", "SignedHeaders", "Signature"} {
		if err := s.set(name, q.Get("X-Amz-"+name)); err != nil {
			return signature{}, err
		}
	}
	return s, s.check()
}

func (s *signature) set(name, text string) error {
	switch name {
	case "Credential":
		scope := strings.Split(text, "/")
		if len(scope) != 5 || scope[4] != "aws4_request" {
			return errors.New("parse signature: Credential is not KEY/DATE/REGION/SERVICE/aws4_request")
		}
		s.keyID, s.date, s.region, s.service = scope[0], scope[1], scope[2], scope[3]
	case "SignedHeaders":
		s.headers = strings.Split(text, ";")
		if len(s.headers) > maxSigned || !slices.Contains(s.headers, "host") {
			return errors.New("parse signature: SignedHeaders has no host, or too many names")
		}
	case "Signature":
		mac, err := hex.DecodeString(text)
		if err != nil || len(mac) != sha256.Size {
			return errors.New("parse signature: Signature is not 64 hexadecimal digits")
		}
		s.mac = mac
	}
	return nil
}

func (s *signature) check() error {
	if s.keyID == "" || len(s.headers) == 0 || len(s.mac) == 0 {
		return errors.New("parse signature: Credential, SignedHeaders or Signature is missing")
	}
	return nil
}

// verify computes the signature from the secret key. Services differ in
// whether the path is encoded once more, so both forms are tried.
func (s signature) verify(c call, secret string) bool {
	at := s.time
	if !s.presigned {
		at = cmp.Or(c.Header.Get(signedDate), c.Header.Get("Date"))
	}
	scope := strings.Join([]string{s.date, s.region, s.service, "aws4_request"}, "/")
	key := []byte("AWS4" + secret)
	for _, part := range []string{s.date, s.region, s.service, "aws4_request"} {
		key = mac256(key, part)
	}
	path := cmp.Or(c.URL.EscapedPath(), "/")
	for _, p := range []string{encode(path, true), path} {
		request := c.Method + "\n" + p + "\n" + s.query(c.URL.RawQuery) + "\n" + s.canonicalHeaders(c) + "\n" + strings.Join(s.headers, ";") + "\n" + s.payload(c)
		sum := sha256.Sum256([]byte(request))
		if hmac.Equal(mac256(key, algorithm+"\n"+at+"\n"+scope+"\n"+hex.EncodeToString(sum[:])), s.mac) {
			return true
		}
	}
	return false
}

func mac256(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// query is sorted by encoded name and value; a presigned address leaves its
// own signature out.
func (s signature) query(raw string) string {
	var pairs []string
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		name, err1 := url.QueryUnescape(name)
		value, err2 := url.QueryUnescape(value)
		if err1 != nil || err2 != nil || s.presigned && name == "X-Amz-Signature" {
			continue
		}
		pairs = append(pairs, encode(name, false)+"="+encode(value, false))
	}
	slices.Sort(pairs)
	return strings.Join(pairs, "&")
}

func (s signature) canonicalHeaders(c call) string {
	var b strings.Builder
	for _, name := range s.headers {
		values := c.Header.Values(name)
		switch name {
		case "host":
			values = []string{c.Host}
		case "content-length":
			if len(values) == 0 {
				values = []string{fmt.Sprint(c.ContentLength)}
			}
		}
		var trimmed []string
		for _, v := range values {
			trimmed = append(trimmed, strings.Join(strings.Fields(v), " "))
		}
		b.WriteString(name + ":" + strings.Join(trimmed, ",") + "\n")
	}
	return b.String()
}

// payload is the hash that was signed: the client says which in a header that
// is itself signed, or it is the body's.
func (s signature) payload(c call) string {
	const header = "x-amz-content-sha256"
	if said := c.Header.Get(header); said != "" && slices.Contains(s.headers, header) {
		return said
	}
	if s.presigned && s.service == "s3" {
		return "UNSIGNED-PAYLOAD"
	}
	sum := sha256.Sum256(c.body)
	return hex.EncodeToString(sum[:])
}

// encode is AWS's UriEncode: everything but unreserved characters.
func encode(s string, path bool) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '.', c == '_', c == '~', path && c == '/':
			b.WriteByte(c)
		default:
			b.Write([]byte{'%', digits[c>>4], digits[c&15]})
		}
	}
	return b.String()
}

func isAWS(c call) bool {
	return strings.HasPrefix(c.Header.Get("Authorization"), algorithm) || c.URL.Query().Get("X-Amz-Algorithm") == algorithm
}

func (h *Handler) aws(c call) use {
	s, err := signatureOf(c)
	if err != nil {
		return use{}
	}
	entry := h.Book.User(s.keyID)
	if entry == nil || entry.Kind != "aws" {
		return use{}
	}
	u := use{entry: entry, proof: store.ProofNone, facts: map[string]string{"service": s.service, "region": s.region, "action": action(c)}}
	if s.verify(c, entry.Secret) {
		u.proof = store.ProofKey
		u.nonce = hex.EncodeToString(s.mac) // covers time and content: the same one is a replay
	}
	return u
}

func signatureOf(c call) (signature, error) {
	if value := c.Header.Get("Authorization"); value != "" {
		return parseAuthorization(value)
	}
	return parseQuery(c.URL.Query())
}

// action is what the intruder wanted to do.
func action(c call) string {
	if target := c.Header.Get("X-Amz-Target"); target != "" {
		return target
	}
	if form, err := url.ParseQuery(string(c.body)); err == nil && form.Get("Action") != "" {
		return form.Get("Action")
	}
	return c.URL.Query().Get("Action")
}

// refuseAWS answers as the service that was meant. Who proved to hold the key
// is told who it is, as anybody is who asks STS, and denied the rest.
func refuseAWS(w http.ResponseWriter, c call, u use) {
	s, err := signatureOf(c)
	request := id(c)
	w.Header().Set("X-Amzn-Requestid", request)
	proved := u.proof == store.ProofKey
	what := action(c)
	switch {
	case s.service == "s3":
		s3(w, c, u, request)
	case c.Header.Get("X-Amz-Target") != "":
		code, message := denial(u, what, err)
		body := map[string]string{"__type": code, "message": message}
		write(w, http.StatusBadRequest, "application/x-amz-json-1.1", encodeJSON(body))
	case proved && what == "GetCallerIdentity":
		account := account(u.entry.ID)
		xmlAnswer(w, http.StatusOK, `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Arn>arn:aws:iam::`+account+`:user/backup</Arn><UserId>AIDA`+u.entry.ID[4:]+`</UserId><Account>`+account+`</Account></GetCallerIdentityResult><ResponseMetadata><RequestId>`+request+`</RequestId></ResponseMetadata></GetCallerIdentityResponse>`)
	default:
		code, message := denial(u, what, err)
		space := "https://" + token(s.service) + ".amazonaws.com/doc/"
		xmlAnswer(w, http.StatusForbidden, `<ErrorResponse xmlns="`+space+`"><Error><Type>Sender</Type><Code>`+code+`</Code><Message>`+escapeXML(message)+`</Message></Error><RequestId>`+request+`</RequestId></ErrorResponse>`)
	}
}

func denial(u use, what string, err error) (code, message string) {
	switch {
	case err != nil:
		return "IncompleteSignature", "Authorization header requires 'Credential', 'SignedHeaders' and 'Signature' parameters."
	case u.entry == nil:
		return "InvalidClientTokenId", "The security token included in the request is invalid."
	case u.proof != store.ProofKey:
		return "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
	}
	return "AccessDenied", "User: arn:aws:iam::" + account(u.entry.ID) + ":user/backup is not authorized to perform: " + what + " because no identity-based policy allows the action"
}

// account is twelve digits that are always the same for a key.
func account(id string) string {
	sum := sha256.Sum256([]byte("account " + id))
	var digits [12]byte
	for i := range digits {
		digits[i] = '0' + sum[i]%10
	}
	digits[0] = '1' + sum[0]%9
	return string(digits[:])
}

func s3(w http.ResponseWriter, c call, u use, request string) {
	code, message := "AccessDenied", "Access Denied"
	switch {
	case u.entry == nil:
		code, message = "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records."
	case u.proof != store.ProofKey:
		code, message = denial(u, "", nil)
	}
	w.Header().Set("X-Amz-Request-Id", strings.ToUpper(strings.ReplaceAll(request, "-", ""))[:16])
	w.Header().Set("Server", "AmazonS3")
	if c.Method == http.MethodHead {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	xmlAnswer(w, http.StatusForbidden, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>"+code+"</Code><Message>"+message+"</Message><RequestId>"+strings.ToUpper(strings.ReplaceAll(request, "-", ""))[:16]+"</RequestId></Error>")
}
