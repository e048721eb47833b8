package main

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"os"
	"runtime"
	"syscall"
	"time"
)

// How long a server takes is part of every wall time and the same for all, so
// the less the better: these two answer one connection after another with
// blocking system calls, and the comparison is one of the clients.

// acceptEach has one thread answer connections. The descriptor is blocking.
func acceptEach(l net.Listener, answer func(fd int)) error {
	file, err := l.(*net.TCPListener).File()
	if err != nil {
		return err
	}
	runtime.LockOSThread()
	defer file.Close()
	fd := int(file.Fd()) // which also makes it blocking
	for {
		conn, _, err := syscall.Accept(fd)
		if err != nil {
			return err
		}
		answer(conn)
		_ = syscall.Close(conn)
	}
}

func serveBareHTTP(l net.Listener) error {
	buf := make([]byte, 4096)
	return acceptEach(l, func(conn int) {
		n, _ := syscall.Read(conn, buf)
		if bytes.Contains(buf[:max(n, 0)], []byte("/slow")) {
			time.Sleep(300 * time.Millisecond)
		}
		_, _ = syscall.Write(conn, []byte("HTTP/1.1 200 OK\r\nContent-Length: 15\r\nConnection: close\r\n\r\n{\"status\":\"UP\"}"))
	})
}

// Frames as grpc-go's server sends them, but for the stream's number.
const (
	preface      = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	settings     = "\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x05\x00\x00\x40\x00"
	settingsAck  = "\x00\x00\x00\x04\x01\x00\x00\x00\x00"
	headHeaders  = "\x00\x00\x0e\x01\x04"
	okHeaders    = "\x88\x5f\x8b\x1d\x75\xd0\x62\x0d\x26\x3d\x4c\x4d\x65\x64"
	headData     = "\x00\x00\x07\x00\x00"
	serving      = "\x00\x00\x00\x00\x02\x08\x01"
	headTrailers = "\x00\x00\x18\x01\x05"
	okTrailers   = "\x40\x88\x9a\xca\xc8\xb2\x12\x34\xda\x8f\x01\x30\x40\x89\x9a\xca\xc8\xb5\x25\x42\x07\x31\x7f\x00"

	frameData, frameSettings, framePing = 0, 4, 6
)

// descriptor reads and writes without the runtime's poller.
type descriptor int

func (d descriptor) Read(p []byte) (int, error) {
	n, err := syscall.Read(int(d), p)
	if n == 0 && err == nil {
		err = io.EOF
	}
	return max(n, 0), err
}

// serveBareGRPC says SERVING to every call.
func serveBareGRPC(l net.Listener) error {
	buf := make([]byte, 1<<16)
	return acceptEach(l, func(conn int) {
		_, _ = syscall.Write(conn, []byte(settings))
		_ = answerCalls(conn, buf) // it ends with the connection
	})
}

func answerCalls(conn int, buf []byte) error {
	have := 0
	begun := false
	for {
		n, err := descriptor(conn).Read(buf[have:])
		if err != nil {
			return err
		}
		have += n
		rest := buf[:have]
		if !begun {
			if len(rest) < len(preface) {
				continue
			}
			begun, rest = true, rest[len(preface):]
		}
		var reply []byte
		for len(rest) >= 9 {
			size := 9 + (int(rest[0])<<16 | int(rest[1])<<8 | int(rest[2]))
			if size > len(buf) {
				return os.ErrInvalid
			}
			if len(rest) < size {
				break
			}
			reply = answerFrame(reply, rest[:size])
			rest = rest[size:]
		}
		if len(reply) > 0 {
			if _, err := syscall.Write(conn, reply); err != nil {
				return err
			}
		}
		have = copy(buf, rest)
	}
}

func answerFrame(reply, frame []byte) []byte {
	kind, flags := frame[3], frame[4]
	switch {
	case kind == frameSettings && flags&1 == 0:
		return append(reply, settingsAck...)
	case kind == framePing && flags&1 == 0:
		reply = append(reply, frame...)
		reply[len(reply)-len(frame)+4] = 1
		return reply
	case kind == frameData && flags&1 != 0:
		stream := binary.BigEndian.Uint32(frame[5:])
		for _, f := range [][2]string{{headHeaders, okHeaders}, {headData, serving}, {headTrailers, okTrailers}} {
			reply = append(binary.BigEndian.AppendUint32(append(reply, f[0]...), stream), f[1]...)
		}
	}
	return reply
}
