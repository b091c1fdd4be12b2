package transfer

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"hash"
	"io"

	"github.com/keylodge/keylodge/domain"
)

const (
	linesPerUpdate = 100
	bytesPerUpdate = 1 << 20
)

// batch is a run of lines that one transaction imports, with the MAC of all lines of the file up to its last one.
type batch struct {
	lines []line
	size  int // in bytes
	mac   digest
}

// read calls onHeader with the first line and onBatch with all lines that follow it except the last, in batches. It returns
// nil only for a file that is complete and unmodified; before that, the lines are unverified.
func read(file io.Reader, keys domain.KeyRing[domain.UserState], onHeader func(header), onBatch func(batch) error) error {
	in := reader{r: bufio.NewReaderSize(file, 1<<16)}
	h, err := in.readHeader()
	if err != nil {
		return err
	}
	key, err := keyOf(h, keys)
	if err != nil {
		return err
	}
	in.mac = hmac.New(sha256.New, key)
	in.mac.Write(in.text)
	onHeader(h)
	var b batch
	flush := func() error {
		b.mac = digest(in.mac.Sum(nil))
		err := onBatch(b)
		b = batch{}
		return err
	}
	var counts Counts
	var last domain.UserID
	for {
		if err := in.next(); err != nil {
			return err
		}
		l, err := decode(in.text)
		if err != nil {
			return invalidLine(in.number, err)
		}
		switch {
		case l.End != nil:
			if err := in.verifyEnd(l.End, counts); err != nil || len(b.lines) == 0 {
				return err
			}
			return flush()
		case l.Export != nil:
			return invalidLine(in.number, errors.New("it is the first line of another export"))
		case l.Events != nil && len(l.Events.List) == 0, l.OutboxEmails != nil && len(l.OutboxEmails.List) == 0:
			return invalidLine(in.number, errors.New("its list is empty"))
		case l.User != nil:
			if l.User.ID.String() <= last.String() {
				return invalidLine(in.number, errors.New("users are not sorted by id"))
			}
			last = l.User.ID
		}
		in.mac.Write(in.text)
		counts = counts.plus(l.counts())
		b.lines, b.size = append(b.lines, l), b.size+len(in.text)
		if len(b.lines) == linesPerUpdate || b.size >= bytesPerUpdate {
			if err := flush(); err != nil {
				return err
			}
		}
	}
}

type reader struct {
	r      *bufio.Reader
	text   []byte // the current line, with its line feed
	number int    // of the current line, from 1
	mac    hash.Hash
}

// next reads the next line. It returns errTruncated if the file ends before the line does.
func (in *reader) next() error {
	in.text = in.text[:0]
	in.number++
	for {
		part, err := in.r.ReadSlice('\n')
		in.text = append(in.text, part...)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, io.EOF):
			return errTruncated
		case !errors.Is(err, bufio.ErrBufferFull):
			return err
		case len(in.text) > maxLineLength:
			return invalidLine(in.number, errors.New("it is too long"))
		}
	}
}

// readHeader reads the first line. It checks the version before the members, since a later version may have others.
func (in *reader) readHeader() (header, error) {
	if err := in.next(); err != nil {
		if errors.Is(err, errTruncated) && !bytes.HasPrefix(in.text, []byte(`{"export":{`)) {
			return header{}, errNotAnExport
		}
		return header{}, err
	}
	var first struct {
		Export struct {
			Format  string `json:"format"`
			Version int    `json:"version"`
		} `json:"export"`
	}
	if err := json.Unmarshal(in.text, &first); err != nil || first.Export.Format != formatName {
		return header{}, errNotAnExport
	}
	if first.Export.Version != formatVersion {
		return header{}, errUnsupportedVersion
	}
	l, err := decode(in.text)
	if err != nil {
		return header{}, invalidLine(in.number, err)
	}
	return *l.Export, nil
}

// verifyEnd compares the file with its last line, and requires that nothing follows it.
func (in *reader) verifyEnd(e *end, counts Counts) error {
	if !hmac.Equal(in.mac.Sum(nil), e.MAC[:]) || e.Counts != counts {
		return errTampered
	}
	if _, err := in.r.ReadByte(); !errors.Is(err, io.EOF) {
		return errTampered
	}
	return nil
}
