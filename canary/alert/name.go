package alert

import (
	"crypto/hmac"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"
)

// A decoy whose connections are cut often still gets a name resolved. The name
// it asks for is an alarm with the least that can be verified:
//
//	NONCE.MAC.SUBJECT[.SUBJECT].zone
//
// in base32 without padding, where MAC is the first ten bytes of HMAC-SHA256
// over "hardstand-canary-dns/1 ", the nonce and the subject, and the subject
// is the decoy's name, a slash and the build id. Resolvers may repeat a
// question for days; a nonce counts once.
const (
	namePrefix = "hardstand-canary-dns/1 "
	nameMAC    = 10 // bytes
	maxLabel   = 63
	maxDNSName = 253
)

var base32Lower = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// ErrNoName: the question is not an alarm.
var ErrNoName = errors.New("name is not a canary alarm")

// Name returns the name to resolve, without a final dot.
func (k Key) Name(e Event, zone string) (string, error) {
	subject := e.Decoy + "/" + e.Build
	mac := k.mac(append([]byte(namePrefix), append(e.Nonce[:], subject...)...))
	labels := []string{base32Lower.EncodeToString(e.Nonce[:]), base32Lower.EncodeToString(mac[:nameMAC])}
	for rest := base32Lower.EncodeToString([]byte(subject)); rest != ""; {
		n := min(len(rest), maxLabel)
		labels, rest = append(labels, rest[:n]), rest[n:]
	}
	name := strings.Join(append(labels, strings.Trim(zone, ".")), ".")
	if len(name) > maxDNSName {
		return "", fmt.Errorf("name canary alarm: %d characters, DNS allows %d: use a shorter zone or build id", len(name), maxDNSName)
	}
	return name, nil
}

// NameAlarm is what a resolved name claims.
type NameAlarm struct {
	Build, Decoy string
	Nonce        Nonce
	mac          []byte
}

// ParseName reads a question in a zone; letter case does not count. It returns
// ErrNoName for other names.
func ParseName(name, zone string) (NameAlarm, error) {
	if len(name) > maxDNSName+1 {
		return NameAlarm{}, ErrNoName
	}
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	rest, found := strings.CutSuffix(name, "."+strings.ToLower(strings.Trim(zone, ".")))
	labels := strings.Split(rest, ".")
	if !found || len(labels) < 3 {
		return NameAlarm{}, ErrNoName
	}
	nonce, err1 := base32Lower.DecodeString(labels[0])
	mac, err2 := base32Lower.DecodeString(labels[1])
	subject, err3 := base32Lower.DecodeString(strings.Join(labels[2:], ""))
	decoy, build, found := strings.Cut(string(subject), "/")
	if err1 != nil || err2 != nil || err3 != nil || !found || len(nonce) != len(Nonce{}) || len(mac) != nameMAC {
		return NameAlarm{}, ErrNoName
	}
	if CheckName(decoy) != nil || CheckName(build) != nil {
		return NameAlarm{}, ErrNoName
	}
	return NameAlarm{Build: build, Decoy: decoy, Nonce: Nonce(nonce), mac: mac}, nil
}

// VerifyName compares the authentication in constant time and returns
// ErrForged where it does not match.
func (m Master) VerifyName(a NameAlarm) error {
	if m.IsZero() || len(a.mac) != nameMAC {
		return ErrForged
	}
	mac := m.Key(a.Build, a.Decoy).mac(append([]byte(namePrefix), append(a.Nonce[:], a.Decoy+"/"+a.Build...)...))
	if !hmac.Equal(mac[:nameMAC], a.mac) {
		return ErrForged
	}
	return nil
}
