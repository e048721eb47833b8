package wire

// Values of ServingStatus in grpc.health.v1.HealthCheckResponse.
const (
	ServingUnknown = 0
	Serving        = 1
	NotServing     = 2
	ServiceUnknown = 3
)

// HealthStatus reads the status field of a HealthCheckResponse, ok if the
// message is well-formed protobuf. A missing field is 0, UNKNOWN.
func HealthStatus(b []byte) (status int, ok bool) {
	for len(b) > 0 {
		key, n := varint(b)
		if n == 0 || key>>3 == 0 {
			return 0, false
		}
		b = b[n:]
		var v uint64
		size := 0
		switch key & 7 {
		case 0:
			v, size = varint(b)
			if size == 0 {
				return 0, false
			}
		case 1:
			size = 8
		case 2:
			l, n := varint(b)
			if n == 0 || l > uint64(len(b)-n) {
				return 0, false
			}
			size = n + int(l)
		case 5:
			size = 4
		default:
			return 0, false
		}
		if size > len(b) {
			return 0, false
		}
		b = b[size:]
		if key == 1<<3 {
			status = int(int32(v))
		}
	}
	return status, true
}

func varint(b []byte) (v uint64, n int) {
	for i := 0; i < len(b) && i < 10; i++ {
		v |= uint64(b[i]&0x7f) << (7 * i)
		if b[i] < 0x80 {
			return v, i + 1
		}
	}
	return 0, 0
}

// HealthCall describes one grpc.health.v1.Health/Check call.
type HealthCall struct {
	TLS       bool
	Authority []byte
	UserAgent string
	Service   string   // empty: the whole server
	Metadata  []string // "name: value", validated, names in lower case
	TimeoutMS int64
}

// Preface appends the client preface (RFC 9113 section 3.4). The dynamic
// table's size is announced as zero, so that no state of header compression
// has to be kept, and push is forbidden.
func Preface(w *Buffer) {
	w.Str("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	w.Str("\x00\x00\x0c\x04\x00\x00\x00\x00\x00" + "\x00\x01\x00\x00\x00\x00" + "\x00\x02\x00\x00\x00\x00")
}

// Request appends the frames of a call on the given stream.
func (h *HealthCall) Request(w *Buffer, stream uint32) {
	at := w.n
	frameHead(w, 0, frameHeaders, flagEndHeaders, stream)
	h.fields(w)
	size := w.n - at - 9
	if size > MaxFrame || w.Full {
		w.Full = true
		return
	}
	w.b[at], w.b[at+1], w.b[at+2] = byte(size>>16), byte(size>>8), byte(size)
	message := 0
	if h.Service != "" {
		message = 1 + varintLen(len(h.Service)) + len(h.Service)
	}
	frameHead(w, 5+message, frameData, flagEndStream, stream)
	w.Byte(0)
	putBE32(w, uint32(message))
	if h.Service != "" {
		w.Byte(0x0a)
		putVarint(w, len(h.Service))
		w.Str(h.Service)
	}
}

func (h *HealthCall) fields(w *Buffer) {
	w.Byte(0x83) // :method POST
	if h.TLS {
		w.Byte(0x87) // :scheme https
	} else {
		w.Byte(0x86) // :scheme http
	}
	putField(w, 4, "/grpc.health.v1.Health/Check")
	putField(w, 1, view(h.Authority))
	putField(w, 31, "application/grpc")
	if h.UserAgent != "" {
		putField(w, 58, h.UserAgent)
	}
	w.Byte(0)
	putText(w, "te")
	putText(w, "trailers")
	if h.TimeoutMS > 0 {
		var digits [24]byte
		d := NewBuffer(digits[:])
		d.Int(min(h.TimeoutMS, 99999999))
		w.Byte(0)
		putText(w, "grpc-timeout")
		putInteger(w, 0, 7, d.n+1)
		w.Raw(d.Bytes())
		w.Byte('m')
	}
	for _, m := range h.Metadata {
		name, value, _ := cut(m, ':')
		h.metadata(w, name, value)
	}
}

// metadata appends one field; the value of a name ending in -bin is encoded in
// base64 (gRPC over HTTP/2, section "Requests").
func (h *HealthCall) metadata(w *Buffer, name, value string) {
	for len(value) > 0 && (value[0] == ' ' || value[0] == '\t') {
		value = value[1:]
	}
	w.Byte(0x10) // never indexed: it may be a secret
	putInteger(w, 0, 7, len(name))
	for i := range len(name) {
		w.Byte(Lower(name[i]))
	}
	if len(name) > 4 && name[len(name)-4:] == "-bin" {
		putInteger(w, 0, 7, (len(value)+2)/3*4)
		w.Base64(value)
		return
	}
	putText(w, value)
}

//go:noinline
func frameHead(w *Buffer, size int, kind, flags byte, stream uint32) {
	w.Byte(byte(size >> 16))
	w.Byte(byte(size >> 8))
	w.Byte(byte(size))
	w.Byte(kind)
	w.Byte(flags)
	putBE32(w, stream)
}

//go:noinline
func putBE32(w *Buffer, v uint32) {
	w.Byte(byte(v >> 24))
	w.Byte(byte(v >> 16))
	w.Byte(byte(v >> 8))
	w.Byte(byte(v))
}

//go:noinline
func putVarint(w *Buffer, v int) {
	for ; v >= 0x80; v >>= 7 {
		w.Byte(byte(v) | 0x80)
	}
	w.Byte(byte(v))
}

func varintLen(v int) int {
	n := 1
	for ; v >= 0x80; v >>= 7 {
		n++
	}
	return n
}

// GRPCCode names a gRPC status code.
func GRPCCode(code int) string {
	names := [...]string{"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
		"ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE",
		"UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"}
	if code < 0 || code >= len(names) {
		return "unknown code"
	}
	return names[code]
}

// ServingName names a health status.
func ServingName(status int) string {
	switch status {
	case ServingUnknown:
		return "UNKNOWN"
	case Serving:
		return "SERVING"
	case NotServing:
		return "NOT_SERVING"
	case ServiceUnknown:
		return "SERVICE_UNKNOWN"
	}
	return "an unknown status"
}
