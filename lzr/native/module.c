/* The module lzr._native: its table of functions, and nothing else. */
#include "native.h"

#define FAST(function) ((PyCFunction)(void (*)(void))(function))

static PyMethodDef methods[] = {
    {"zmap_lines", FAST(lzr_zmap_lines), METH_FASTCALL,
     "zmap_lines(block, rows, again, line) -> (inputs, left over, lines): ZMap JSON into TARGET rows"},
    {"list_lines", FAST(lzr_list_lines), METH_FASTCALL,
     "list_lines(block, rows, again, line) -> (inputs, left over, lines): ip:port lines into TARGET rows"},
    {"json_records", FAST(lzr_json_records), METH_FASTCALL,
     "json_records(rows, blob, keep, fields, identities, handshakes, expanded) -> bytes: JSON lines"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "lzr._native",
    .m_doc = "Hot loops in C; each has an equal in Python.",
    .m_size = -1,
    .m_methods = methods,
};

PyMODINIT_FUNC PyInit__native(void);

PyMODINIT_FUNC PyInit__native(void)
{
    PyObject *it = PyModule_Create(&module);
    PyObject *names = lzr_field_names();
    if (it == NULL || names == NULL || PyModule_AddIntConstant(it, "TARGET_SIZE", sizeof(struct target)) < 0 ||
        PyModule_AddIntConstant(it, "OUTCOME_SIZE", sizeof(struct outcome)) < 0 ||
        PyModule_AddObjectRef(it, "FIELDS", names) < 0) {
        Py_XDECREF(names);
        Py_XDECREF(it);
        return NULL;
    }
    Py_DECREF(names);
    return it;
}
