// The classes of BSON, with and without `new` (functions-runtime.md §3).
//- functions/run.js
exports = (code) => eval(code);
//= run ["BSON.ObjectId('5FD45718cface356de9d104d')"]
//> {"$oid":"5fd45718cface356de9d104d"}
//= run ["new BSON.ObjectID('5fd45718cface356de9d104d').toString()"]
//> "5fd45718cface356de9d104d"
//= run ["new BSON.ObjectId('5fd45718cface356de9d104d').toHexString()"]
//> "5fd45718cface356de9d104d"
//= run ["new BSON.ObjectId().toString().length"]
//> {"$numberInt":"24"}
//= run ["String(new BSON.ObjectId()) !== String(new BSON.ObjectId())"]
//> true
//= run ["BSON.ObjectId('twelve bytes')"]
//> {"$oid":"7477656c7665206279746573"}
//= run ["BSON.ObjectId([1,2,3,4,5,6,7,8,9,10,11,12])"]
//> {"$oid":"0102030405060708090a0b0c"}
//= run ["BSON.ObjectId('5fd45718cface356de9d104d').getTimestamp()"]
//> {"$date":{"$numberLong":"1607751448000"}}
//= run ["BSON.ObjectId('5fd45718cface356de9d104d').equals('5fd45718cface356de9d104d')"]
//> true
//= run ["BSON.ObjectId('5fd45718cface356de9d104d').equals(BSON.ObjectId('5fd45718cface356de9d104e'))"]
//> false
//= run ["[BSON.ObjectId.isValid('5fd45718cface356de9d104d'), BSON.ObjectId.isValid('nope')]"]
//> [true,false]
//= run ["BSON.ObjectId.createFromTime(1607751448)"]
//> {"$oid":"5fd457180000000000000000"}
//= run ["JSON.stringify({ id: BSON.ObjectId('5fd45718cface356de9d104d') })"]
//> "{\"id\":\"5fd45718cface356de9d104d\"}"
//= run ["try { BSON.ObjectId('short') } catch (error) { error.message }"]
//> "Argument passed in must be …"
//= run ["[BSON.Int32(42), new BSON.Int32(), BSON.Int32(3.7), BSON.Int32('5')]"]
//> [{"$numberInt":"42"},{"$numberInt":"0"},{"$numberInt":"3"},{"$numberInt":"5"}]
//= run ["[BSON.Double(1234.5678), new BSON.Double(2), BSON.Double()]"]
//> [{"$numberDouble":"1234.5678"},{"$numberDouble":"2.0"},{"$numberDouble":"0.0"}]
//= run ["BSON.Int32(40) + 2"]
//> {"$numberInt":"42"}
//= run ["[BSON.Long(600206158, 342), new BSON.Long(5), BSON.Long()]"]
//> [{"$numberLong":"1469479021390"},{"$numberLong":"5"},{"$numberLong":"0"}]
//= run ["[BSON.Long(-1, -1), BSON.Long(0, 1)]"]
//> [{"$numberLong":"-1"},{"$numberLong":"4294967296"}]
//= run ["[BSON.Long.fromNumber(5.9), BSON.Long.fromString('-9223372036854775808'), BSON.Long.fromInt(7), BSON.Long.MAX_VALUE]"]
//> [{"$numberLong":"5"},{"$numberLong":"-9223372036854775808"},{"$numberLong":"7"},{"$numberLong":"9223372036854775807"}]
//= run ["const a = BSON.Long.fromNumber(7); [a.add(1), a.sub(10), a.multiply(BSON.Long.fromNumber(3)), a.divide(2), a.mod(4), a.negate()]"]
//> [{"$numberLong":"8"},{"$numberLong":"-3"},{"$numberLong":"21"},{"$numberLong":"3"},{"$numberLong":"3"},{"$numberLong":"-7"}]
//= run ["const a = BSON.Long.fromNumber(7); [a.equals(7), a.gt(6), a.lessThanOrEqual(6), a.compare(8), a.isOdd(), a.isNegative(), a.toNumber(), a.toInt(), a.toString(2)]"]
//> [true,true,false,{"$numberInt":"-1"},true,false,{"$numberInt":"7"},{"$numberInt":"7"},"111"]
//= run ["[BSON.Long.MAX_VALUE.add(1), BSON.Long.MAX_VALUE.high, BSON.Long.MAX_VALUE.low, BSON.Long.isLong(BSON.Long(1))]"]
//> [{"$numberLong":"-9223372036854775808"},{"$numberInt":"2147483647"},{"$numberInt":"-1"},true]
//= run ["[BSON.Decimal128.fromString('1234.5678910123456'), new BSON.Decimal128('0.10')]"]
//> [{"$numberDecimal":"1234.5678910123456"},{"$numberDecimal":"0.10"}]
//= run ["BSON.Decimal128.fromString('1.5').toString()"]
//> "1.5"
//= run ["BSON.Binary.fromHex('54657374')"]
//> {"$binary":{"base64":"VGVzdA==","subType":"00"}}
//= run ["BSON.Binary.fromHex('0102', 4)"]
//> {"$binary":{"base64":"AQI=","subType":"04"}}
//= run ["const b = BSON.Binary.fromBase64('VGVzdCBtZXNzYWdlIHBsZWFzZSBpZ25vcmU='); [b.text(), b.toBase64(), b.toHex(), b.length()]"]
//> ["Test message please ignore","VGVzdCBtZXNzYWdlIHBsZWFzZSBpZ25vcmU=","54657374206d65737361676520706c656173652069676e6f7265",{"$numberInt":"26"}]
//= run ["BSON.Binary.fromText('MyUser:Mypassw0rd').toBase64()"]
//> "TXlVc2VyOk15cGFzc3cwcmQ="
//= run ["try { BSON.Binary.fromBase64('VGVzdA') } catch (error) { error.name }"]
//> "TypeError"
//= run ["try { BSON.Binary.fromHex('xyz') } catch (error) { error.name }"]
//> "TypeError"
//= run ["[BSON.BSONRegExp('the great', 'ig'), new BSON.BSONRegExp('a')]"]
//> [{"$regularExpression":{"pattern":"the great","options":"gi"}},{"$regularExpression":{"pattern":"a","options":""}}]
//= run ["[BSON.MaxKey, BSON.MinKey]"]
//> [{"$maxKey":1},{"$minKey":1}]
//= run ["[new BSON.Timestamp(1, 2), BSON.Timestamp({ t: 3, i: 4 })]"]
//> [{"$timestamp":{"t":2,"i":1}},{"$timestamp":{"t":3,"i":4}}]
//= run ["[BSON.Code('f()'), BSON.Symbol('s'), BSON.DBRef('c', 1)]"]
//> [{"$code":"f()"},{"$symbol":"s"},{"$ref":"c","$id":{"$numberInt":"1"}}]
//= run ["Object.keys(BSON).sort().join()"]
//> "BSONRegExp,BSONSymbol,Binary,Code,DBRef,Decimal128,Double,Int32,Long,MaxKey,MinKey,ObjectID,ObjectId,Symbol,Timestamp"
//= run ["[new BSON.ObjectId() instanceof BSON.ObjectId, new BSON.ObjectId()._bsontype, BSON.Long(1)._bsontype, BSON.ObjectId === BSON.ObjectID]"]
//> [true,"ObjectId","Long",true]
