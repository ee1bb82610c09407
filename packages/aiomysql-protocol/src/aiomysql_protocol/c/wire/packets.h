/* Packets; the structures are those of packets.py. */
#ifndef AIOMYSQL_PROTOCOL_WIRE_PACKETS_H
#define AIOMYSQL_PROTOCOL_WIRE_PACKETS_H

#include "module.h"

/* First bytes. */
enum { PACKET_OK = 0x00, PACKET_EOF = 0xFE };

/* Items of packets.Ok. */
enum { OK_AFFECTED_ROWS, OK_INSERT_ID, OK_SERVER_STATUS, OK_WARNING_COUNT, OK_INFO, OK_ITEMS };

/* Status flags. */
enum { IN_TRANSACTION = 0x0001, MORE_RESULTS = 0x0008 };

/* The packets.Ok in a payload, whose first byte is not looked at.  0: it is none; -1: an
 * exception is set. */
int read_ok(const State *state, const unsigned char *payload, Py_ssize_t length, PyObject **ok);

/* Whether the server has more results for the command that `ok` ends. */
int has_more_results(PyObject *ok);

#endif
